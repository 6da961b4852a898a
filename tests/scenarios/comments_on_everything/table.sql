CREATE TABLE units (id integer PRIMARY KEY);
CREATE TABLE readings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    read_at timestamptz NOT NULL,
    unit integer CONSTRAINT readings_unit REFERENCES units,
    value numeric CONSTRAINT readings_value CHECK (value > -1000)
);
CREATE INDEX readings_read_at ON readings (read_at);
COMMENT ON TABLE readings IS E'it''s a "table"\n100%';
COMMENT ON COLUMN readings.value IS 'in °C';
COMMENT ON CONSTRAINT readings_pkey ON readings IS 'the key';
COMMENT ON INDEX readings_pkey IS 'its index';
COMMENT ON CONSTRAINT readings_unit ON readings IS 'the unit';
COMMENT ON CONSTRAINT readings_value ON readings IS 'the value';
COMMENT ON INDEX readings_read_at IS 'for the dashboard';
COMMENT ON SEQUENCE readings_id_seq IS 'numbers';
INSERT INTO units VALUES (1);
INSERT INTO readings (read_at, unit, value) SELECT moment, 1, n FROM pg_temp.moments(300);
