-- purpose: List the notes of a run, in order
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT section, message, detail, happened_at
  FROM partition_playbook.events
 WHERE run_id = %(run_id)s AND kind = 'note'
 ORDER BY event_id
