-- purpose: List the names of the files of a run
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on reports
-- transaction: one
-- rerun: safe because it only reads
SELECT name FROM partition_playbook.reports WHERE run_id = %(run_id)s ORDER BY name
