-- So many moments over the last half year, and with them every bound of a month and the microsecond before it: on the
-- first days of a month too, they reach as far back as those of the writer.
CREATE FUNCTION pg_temp.moments(rows int) RETURNS TABLE (n int, moment timestamptz) LANGUAGE sql AS $$
    SELECT row_number() OVER ()::int, found.moment
      FROM (SELECT bound - before
              FROM generate_series(date_trunc('month', now()) - interval '6 months', date_trunc('month', now()), '1 month') AS bound,
                   unnest('{0, 1 microsecond}'::interval[]) AS before
            UNION ALL
            SELECT now() - random() * interval '170 days' FROM generate_series(1, rows - 14)) AS found (moment)
$$
