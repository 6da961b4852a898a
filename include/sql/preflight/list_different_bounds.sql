-- purpose: List the moments at which the server's clocks do not show the wall clock of the worker, or showed the same day before
-- params: zone, moments, clocks, days
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT b.moment::text AS moment, (b.moment::timestamptz AT TIME ZONE %(zone)s)::text AS clock
  FROM unnest(%(moments)s::text[], %(clocks)s::timestamp[], %(days)s::date[]) AS b (moment, clock, day)
 WHERE b.moment::timestamptz AT TIME ZONE %(zone)s <> b.clock
    OR ((b.moment::timestamptz - interval '1 microsecond') AT TIME ZONE %(zone)s)::date >= b.day
 ORDER BY b.moment::timestamptz
