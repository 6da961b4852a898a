-- In Santiago the clock goes from 23:59 to 01:00 on a Sunday in September.
CREATE TABLE changes AS
SELECT max(day)::timestamptz AS at
  FROM generate_series(localtimestamp::date - interval '1 year', localtimestamp, '1 day') AS day
 WHERE day::timestamptz::timestamp <> day;
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO visits (at)
SELECT moment - before
  FROM changes, generate_series(at - interval '30 hours', at + interval '30 hours', '30 minutes') AS moment, unnest('{0, 1 microsecond}'::interval[]) AS before;
