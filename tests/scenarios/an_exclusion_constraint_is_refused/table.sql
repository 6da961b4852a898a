CREATE TABLE bookings (id bigint PRIMARY KEY, starts_at timestamptz NOT NULL, stay tstzrange,
                       CONSTRAINT no_overlap EXCLUDE USING gist (stay WITH &&));
INSERT INTO bookings SELECT n, moment FROM pg_temp.moments(100);
