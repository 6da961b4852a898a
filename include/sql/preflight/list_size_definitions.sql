-- purpose: List the views and functions with the name of a table that read sizes or statistics of tables from the catalog
-- params: name, reads, ledger_schema
-- returns: rows
-- lock: ACCESS SHARE on the tables of views that call such a function
-- transaction: one
-- rerun: safe because it only reads
WITH sources AS (
    SELECT format(':(funcid|relid) (%%s)\M', string_agg(oid::text, '|')) AS pattern
      FROM (SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ %(reads)s
             UNION ALL
            SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname ~ %(reads)s) AS s
), candidates AS MATERIALIZED (
    SELECT v.oid, v.relkind, r.ev_action::text AS action
      FROM pg_class v
      JOIN pg_rewrite r ON r.ev_class = v.oid
      JOIN pg_namespace n ON n.oid = v.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema', %(ledger_schema)s)
     WHERE v.relkind IN ('v', 'm')
), found AS MATERIALIZED (
    SELECT c.oid, c.relkind FROM candidates c JOIN sources s ON c.action ~ s.pattern
)
SELECT CASE f.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || f.oid::regclass AS place
  FROM found f
 WHERE strpos(lower(pg_get_viewdef(f.oid)), lower(replace(%(name)s, '"', '""'))) > 0
UNION ALL
SELECT 'function ' || p.oid::regprocedure
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema', %(ledger_schema)s)
 WHERE p.prosrc ~ %(reads)s
   AND strpos(lower(p.prosrc), lower(replace(%(name)s, '"', '""'))) > 0
 ORDER BY 1
