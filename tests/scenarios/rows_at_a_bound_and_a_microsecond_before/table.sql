CREATE TABLE ticks (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO ticks (at)
SELECT bound - before
  FROM generate_series(date_trunc('month', now()) - interval '8 months', now(), '1 month') AS bound,
       unnest('{0, 1 microsecond, 2 microseconds, -1 microsecond}'::interval[]) AS before, generate_series(1, 5);
