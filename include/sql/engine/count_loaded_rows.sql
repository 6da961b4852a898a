-- purpose: Count the rows of each partition of a load
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the parent of the load and its partitions
-- transaction: one
-- rerun: safe because it only reads
SELECT c.relname AS name, counted.rows
  FROM (SELECT tableoid, count(*) AS rows FROM {parent} GROUP BY tableoid) AS counted
  JOIN pg_class c ON c.oid = counted.tableoid
