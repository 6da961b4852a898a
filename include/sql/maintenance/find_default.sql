-- purpose: Find the default partition of a table, if it is a plain table
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_partitioned_table p
  JOIN pg_class c ON c.oid = p.partdefid AND c.relkind = 'r'
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE p.partrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
