-- purpose: Record the start of the load of several partitions
-- params: run_id, partitions
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because a repeated load starts its clock again
UPDATE partition_playbook.loads
   SET state = 'loading', started_at = clock_timestamp(), ended_at = NULL, rows = NULL, bytes = NULL
 WHERE run_id = %(run_id)s AND partition_name = ANY (%(partitions)s)
