-- purpose: List functions of SQL and PL/pgSQL whose source has the name of a table and an INSERT or a MERGE
-- params: name, ledger_schema
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT p.oid::regprocedure::text AS name, p.prosrc AS source
  FROM pg_proc p
  JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', %(ledger_schema)s)
   AND strpos(lower(p.prosrc), lower(replace(%(name)s, '"', '""'))) > 0
   AND p.prosrc ~* '\m(insert|merge)\M'
 ORDER BY 1
