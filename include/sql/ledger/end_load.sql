-- purpose: Record the end of a load with its rows and bytes
-- params: run_id, partition_name, rows, bytes
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because it replaces the load's last values
UPDATE partition_playbook.loads
   SET state = 'loaded', ended_at = clock_timestamp(), rows = %(rows)s, bytes = %(bytes)s
 WHERE run_id = %(run_id)s AND partition_name = %(partition_name)s
