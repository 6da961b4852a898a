CREATE TABLE devices (id integer PRIMARY KEY);
CREATE TABLE readings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    read_at timestamptz NOT NULL,
    device integer CONSTRAINT readings_device REFERENCES devices NOT ENFORCED,
    CONSTRAINT known_device CHECK (device > 5) NOT ENFORCED
);
INSERT INTO readings (read_at, device) SELECT moment, n % 20 FROM pg_temp.moments(300);
