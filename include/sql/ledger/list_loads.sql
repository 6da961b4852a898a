-- purpose: List the loads of a run in the order of their bounds
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on loads
-- transaction: one
-- rerun: safe because it only reads
SELECT * FROM partition_playbook.loads WHERE run_id = %(run_id)s ORDER BY lower_bound
