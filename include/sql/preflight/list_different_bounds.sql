-- purpose: List the moments at which the server's clocks do not show the wall clock of the worker, or showed it before
-- params: zone, moments, clocks, starts
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT b.moment::text AS moment, (b.moment::timestamptz AT TIME ZONE %(zone)s)::text AS clock
  FROM unnest(%(moments)s::text[], %(clocks)s::timestamp[], %(starts)s::timestamp[]) AS b (moment, clock, start)
 WHERE b.moment::timestamptz AT TIME ZONE %(zone)s <> b.clock
    OR ((b.moment::timestamptz - interval '1 microsecond') AT TIME ZONE %(zone)s) >= b.start
 ORDER BY b.moment::timestamptz
