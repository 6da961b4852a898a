-- purpose: Find the schema of pg_stat_statements, and whether its version has pg_stat_statements_info
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname::text AS schema,
       to_regclass(format('%I.pg_stat_statements_info', n.nspname)) IS NOT NULL AS has_age
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
