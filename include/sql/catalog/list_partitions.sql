-- purpose: List the partitions of a table with their bounds from the catalog
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
-- A bound has no columns. With the table's oid PostgreSQL 18 would open each partition, and wait for its lock.
SELECT n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind,
       pg_get_expr(c.relpartbound, 0) AS bound,
       i.inhdetachpending AS detach_pending,
       c.reltuples::bigint AS estimated_rows
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY c.oid = (SELECT p.partdefid FROM pg_partitioned_table p WHERE p.partrelid = i.inhparent), c.relname
