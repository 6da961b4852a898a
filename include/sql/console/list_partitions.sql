-- purpose: List the partitions of a table with bounds and sizes, both NULL under an ACCESS EXCLUSIVE lock
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL
)
-- pg_get_expr and pg_total_relation_size would wait for an ACCESS EXCLUSIVE lock, granted or requested.
SELECT c.relname AS name,
       c.oid = p.partdefid AS is_default,
       CASE WHEN locked.relation IS NULL THEN pg_get_expr(c.relpartbound, c.oid) END AS bound,
       i.inhdetachpending AS detach_pending,
       greatest(c.reltuples, 0)::bigint AS estimated_rows,
       CASE WHEN locked.relation IS NULL THEN pg_total_relation_size(c.oid) END AS bytes
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
  LEFT JOIN locked ON locked.relation = c.oid
 WHERE i.inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
