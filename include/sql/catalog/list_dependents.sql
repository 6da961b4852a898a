-- purpose: List the dependents bound to a table by oid: views, functions with a parsed body, policies of other tables, referring foreign keys
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT c.oid FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
), readers AS (
    SELECT DISTINCT d.classid, d.objid
      FROM source c JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
)
SELECT CASE v.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END AS kind,
       n.nspname AS schema,
       v.relname AS name,
       pg_get_userbyid(v.relowner) AS owner,
       rtrim(pg_get_viewdef(v.oid), ';') AS definition,
       coalesce(v.reloptions, '{{}}') AS options,
       '' AS filter,
       '' AS "check",
       '' AS other,
       '' AS comment
  FROM readers d
  JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'
  JOIN pg_class v ON v.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = v.relnamespace
UNION ALL
SELECT 'function', n.nspname, p.oid::regprocedure::text, pg_get_userbyid(p.proowner), pg_get_functiondef(p.oid), '{{}}', '', '', '', ''
  FROM readers d
  JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
  JOIN pg_namespace n ON n.oid = p.pronamespace
UNION ALL
SELECT 'policy', n.nspname, p.polname, pg_get_userbyid(t.relowner), '', '{{}}',
       coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''), t.relname, ''
  FROM readers d
  CROSS JOIN source c
  JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid AND p.polrelid <> c.oid
  JOIN pg_class t ON t.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
UNION ALL
SELECT 'foreign key', n.nspname, k.conname, pg_get_userbyid(t.relowner), pg_get_constraintdef(k.oid), '{{}}', '', '', t.relname, coalesce(obj_description(k.oid, 'pg_constraint'), '')
  FROM source c
  JOIN pg_constraint k ON k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0 AND k.conrelid <> c.oid
  JOIN pg_class t ON t.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 ORDER BY 1, 2, 3, 9
