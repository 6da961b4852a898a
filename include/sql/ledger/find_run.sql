-- purpose: Read one run
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on runs
-- transaction: one
-- rerun: safe because it only reads
SELECT * FROM partition_playbook.runs WHERE run_id = %(run_id)s
