-- purpose: List the tables that a wrong name may mean: of the same name in any schema, and of the same schema
-- params: schema, name, ledger_schema
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname AS schema_name, c.relname AS table_name
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p')
   AND NOT c.relispartition
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', %(ledger_schema)s)
   AND (n.nspname = %(schema)s OR lower(c.relname) = lower(%(name)s))
 ORDER BY lower(c.relname) <> lower(%(name)s), n.nspname, c.relname
 LIMIT 10000
