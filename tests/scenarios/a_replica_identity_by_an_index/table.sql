CREATE TABLE counters (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, counted_at timestamptz NOT NULL, meter integer NOT NULL);
CREATE UNIQUE INDEX counters_meter ON counters (meter, counted_at);
ALTER TABLE counters REPLICA IDENTITY USING INDEX counters_meter;
INSERT INTO counters (counted_at, meter) SELECT moment, n FROM pg_temp.moments(300);
