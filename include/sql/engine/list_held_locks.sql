-- purpose: List those of the named advisory locks that a session holds
-- params: names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT each.name
  FROM unnest(%(names)s::text[]) AS each (name)
  JOIN pg_locks l ON (l.classid::bigint << 32) + l.objid::bigint = hashtextextended(each.name, 0)
 WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
