-- purpose: List the looks of the present watch, oldest first
-- params: run_id, since
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT happened_at, rows AS findings, detail
  FROM partition_playbook.events
 WHERE run_id = %(run_id)s AND kind = 'look' AND happened_at >= %(since)s::timestamptz
 ORDER BY event_id
