-- purpose: List the other migrations of a table that stand, or that were opened and did not end
-- params: table_schema, table_name, run_id
-- returns: rows
-- lock: ACCESS SHARE on runs
-- transaction: one
-- rerun: safe because it only reads
SELECT run_id, phase, started_at
  FROM partition_playbook.runs
 WHERE table_schema = %(table_schema)s
   AND table_name = %(table_name)s
   AND run_id <> %(run_id)s
   AND mode <> 'maintenance'
   AND (phase IN ('shadowed', 'attached', 'live', 'rolled_back') OR (phase = 'opened' AND ended_at IS NULL))
 ORDER BY started_at DESC
