-- purpose: Find the schema of pg_stat_statements, its view of evictions, its function to forget one statement, and the right to it
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname::text AS schema,
       to_regclass(format('%I.pg_stat_statements_info', n.nspname)) IS NOT NULL AS has_age,
       coalesce(f.oid::regprocedure::text, '') AS reset,
       coalesce(has_function_privilege(f.oid, 'EXECUTE'), false) AS may_reset,
       quote_ident(current_user) AS role
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
  -- Four arguments since version 1.11, three since 1.7, none before.
  LEFT JOIN pg_proc f ON f.pronamespace = n.oid AND f.proname = 'pg_stat_statements_reset' AND f.pronargs >= 3
 WHERE e.extname = 'pg_stat_statements'
