CREATE TABLE devices (id integer PRIMARY KEY);
CREATE TABLE readings (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, read_at timestamptz NOT NULL, device integer);
INSERT INTO devices SELECT generate_series(1, 10);
INSERT INTO readings (read_at, device) SELECT moment, n % 20 FROM pg_temp.moments(400);
ALTER TABLE readings ADD CONSTRAINT readings_device FOREIGN KEY (device) REFERENCES devices NOT VALID;
