-- purpose: Read one file of a run, with the SHA-256 of its writer
-- params: run_id, name
-- returns: rows
-- lock: ACCESS SHARE on reports
-- transaction: one
-- rerun: safe because it only reads
SELECT name, content, sha256 FROM partition_playbook.reports WHERE run_id = %(run_id)s AND name = %(name)s
