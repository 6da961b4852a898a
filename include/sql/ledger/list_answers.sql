-- purpose: List the answers of people in a run, in order
-- params: run_id, message
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT section, detail, happened_at
  FROM partition_playbook.events
 WHERE run_id = %(run_id)s AND kind = 'note' AND message = %(message)s
 ORDER BY event_id
