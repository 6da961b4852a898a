-- purpose: List leftovers of an earlier migration: relations with the names of shadow, retired table and change log, and capture triggers
-- params: schema, name, shadow, retired, ledger_schema, change_log
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.oid::regclass::text AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname = %(schema)s AND c.relname IN (%(shadow)s, %(retired)s))
    OR (n.nspname = %(ledger_schema)s AND c.relname = %(change_log)s)
UNION
SELECT format('trigger %%s', g.tgname)
  FROM pg_trigger g
 WHERE g.tgrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND NOT g.tgisinternal
   AND starts_with(g.tgname, 'partition_playbook_')
 ORDER BY 1
