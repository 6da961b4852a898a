-- purpose: Record the start of a load
-- params: run_id, partition_name
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because a repeated load starts its clock again
UPDATE partition_playbook.loads
   SET state = 'loading', started_at = clock_timestamp(), ended_at = NULL, rows = NULL, bytes = NULL
 WHERE run_id = %(run_id)s AND partition_name = %(partition_name)s
