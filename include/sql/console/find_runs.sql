-- purpose: Find the runs of a DAG run: one run, for maintenance one per table
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on runs
-- transaction: one
-- rerun: safe because it only reads
SELECT run_id, table_schema, table_name
  FROM partition_playbook.runs
 WHERE run_id = %(run_id)s OR starts_with(run_id, %(run_id)s || '/')
 ORDER BY run_id
