CREATE TABLE bookings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    starts_at timestamptz NOT NULL,
    room integer NOT NULL,
    seat integer,
    CONSTRAINT one_booking UNIQUE (room, starts_at),
    CONSTRAINT one_seat UNIQUE NULLS NOT DISTINCT (starts_at, seat, room) INCLUDE (id) WITH (fillfactor = 80)
);
COMMENT ON CONSTRAINT one_booking ON bookings IS 'nobody shares';
COMMENT ON INDEX one_seat IS 'nor here';
INSERT INTO bookings (starts_at, room) SELECT moment, n FROM pg_temp.moments(300);
