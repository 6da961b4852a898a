-- purpose: List the row triggers of a table, without those of the playbook, with the language and the source of their functions
-- params: schema, name, capture_prefix
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT g.tgname::text AS name,
       g.tgtype & 2 = 2 AS before,
       g.tgtype & 4 = 4 AS inserts,
       g.tgtype & 16 = 16 AS updates,
       g.tgenabled::text AS enabled,
       p.oid::regprocedure::text AS function,
       l.lanname::text AS language,
       p.prosrc AS source
  FROM pg_trigger g
  JOIN pg_proc p ON p.oid = g.tgfoid
  JOIN pg_language l ON l.oid = p.prolang
 WHERE g.tgrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND NOT g.tgisinternal
   AND NOT starts_with(g.tgname::text, %(capture_prefix)s)
   AND g.tgtype & 1 = 1
   AND g.tgenabled <> 'D'
 ORDER BY g.tgname
