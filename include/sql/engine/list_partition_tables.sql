-- purpose: List all partitions of a table, on every level
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_partition_tree(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS t
  JOIN pg_class c ON c.oid = t.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.level > 0 AND c.relkind IN ('r', 'p')
 ORDER BY n.nspname, c.relname
