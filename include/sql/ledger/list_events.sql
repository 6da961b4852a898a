-- purpose: List the events of a run in order
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT * FROM partition_playbook.events WHERE run_id = %(run_id)s ORDER BY event_id
