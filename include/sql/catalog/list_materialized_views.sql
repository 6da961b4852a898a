-- purpose: List the materialized views directly on a table
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT n.nspname AS schema, v.relname AS name
  FROM pg_depend d
  JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'm'
  JOIN pg_namespace n ON n.oid = v.relnamespace
 WHERE d.refclassid = 'pg_class'::regclass
   AND d.refobjid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY 1, 2
