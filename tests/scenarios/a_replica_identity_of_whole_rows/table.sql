CREATE TABLE counters (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, counted_at timestamptz NOT NULL, value integer);
ALTER TABLE counters REPLICA IDENTITY FULL;
INSERT INTO counters (counted_at, value) SELECT moment, n FROM pg_temp.moments(300);
