-- purpose: List the statistics of a run
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on statistics
-- transaction: one
-- rerun: safe because it only reads
SELECT * FROM partition_playbook.statistics WHERE run_id = %(run_id)s ORDER BY stage, partition_name
