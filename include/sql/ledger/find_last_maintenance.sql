-- purpose: Find the start of the last maintenance of a table that was no dry run, except one's own
-- params: run_id, table_schema, table_name
-- returns: value
-- lock: ACCESS SHARE on runs
-- transaction: one
-- rerun: safe because it only reads
SELECT max(started_at)
  FROM partition_playbook.runs
 WHERE table_schema = %(table_schema)s
   AND table_name = %(table_name)s
   AND mode = 'maintenance'
   AND run_id <> %(run_id)s
   AND NOT coalesce((params->>'dry_run')::boolean, false)
   AND params->>'as_of' IS NULL
