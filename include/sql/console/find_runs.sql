-- purpose: Find what the ledger recorded for a DAG run: one run, or in maintenance one a table
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on runs
-- transaction: one
-- rerun: safe because it only reads
SELECT run_id, table_schema, table_name
  FROM partition_playbook.runs
 WHERE run_id = %(run_id)s OR starts_with(run_id, %(run_id)s || '/')
 ORDER BY run_id
