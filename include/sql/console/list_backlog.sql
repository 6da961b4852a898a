-- purpose: List the samples of the backlog that the reconciler wrote, newest first
-- params: run_id, limit
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT happened_at, rows AS waiting
  FROM partition_playbook.events
 WHERE run_id = %(run_id)s AND kind = 'backlog'
 ORDER BY event_id DESC
 LIMIT %(limit)s
