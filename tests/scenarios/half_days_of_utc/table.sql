CREATE TABLE pings (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO pings (at)
SELECT bound - before
  FROM generate_series(date_bin('12 hours', now(), '2000-01-03 00:00Z') - interval '3 days', now(), '4 hours') AS bound, unnest('{0, 1 microsecond}'::interval[]) AS before;
