-- purpose: List functions of other roles that a run may call with its own privileges: in checks, defaults, generated columns, indexes, triggers and policies of the table and the ledger
-- params: schema, name, ledger_schema
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AS oid
     UNION ALL
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(ledger_schema)s AND c.relkind = 'r'
), parts AS (
    SELECT 'pg_constraint'::regclass AS classid, k.oid FROM pg_constraint k JOIN source s ON k.conrelid = s.oid
     UNION ALL
    SELECT 'pg_class'::regclass, x.indexrelid FROM pg_index x JOIN source s ON x.indrelid = s.oid
     UNION ALL
    SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d JOIN source s ON d.adrelid = s.oid
     UNION ALL
    SELECT 'pg_trigger'::regclass, g.oid FROM pg_trigger g JOIN source s ON g.tgrelid = s.oid WHERE NOT g.tgisinternal
     UNION ALL
    SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN source s ON p.polrelid = s.oid
)
SELECT DISTINCT f.oid::regprocedure::text AS function, r.rolname AS owner
  FROM parts
  JOIN pg_depend d ON d.classid = parts.classid AND d.objid = parts.oid AND d.refclassid = 'pg_proc'::regclass
  JOIN pg_proc f ON f.oid = d.refobjid
  JOIN pg_roles r ON r.oid = f.proowner
 WHERE NOT r.rolsuper
   AND NOT f.prosecdef
   AND NOT pg_has_role(r.oid, (SELECT u.oid FROM pg_roles u WHERE u.rolname = current_user), 'MEMBER')
 ORDER BY 1
