CREATE TABLE shifts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, began_at timestamptz NOT NULL, hours numeric);
INSERT INTO shifts (began_at)
SELECT hour - before
  FROM generate_series(date_trunc('week', now()) - interval '35 weeks', now(), '1 hour') AS hour, unnest('{0, 1 microsecond}'::interval[]) AS before
 WHERE extract(isodow FROM hour) = 7 AND before = '0' OR extract(isodow FROM hour) = 1 AND extract(hour FROM hour) < 3;
