-- purpose: List the measurements of a run
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on measurements
-- transaction: one
-- rerun: safe because it only reads
SELECT * FROM partition_playbook.measurements WHERE run_id = %(run_id)s ORDER BY taken_at
