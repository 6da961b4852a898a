-- purpose: Count the rows within a condition, at most up to a limit, with the oldest and the newest of them
-- params: most
-- returns: row
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS rows, min(moment)::text AS oldest, max(moment)::text AS newest
  FROM (SELECT {moment} AS moment FROM {source} WHERE {within} LIMIT %(most)s) AS far
