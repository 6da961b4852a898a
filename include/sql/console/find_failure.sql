-- purpose: Find the last failure of a task among the recent events of a run
-- params: run_id, limit
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT message
  FROM (SELECT event_id, message, detail
          FROM partition_playbook.events
         WHERE run_id = %(run_id)s
         ORDER BY event_id DESC
         LIMIT %(limit)s) AS recent
 WHERE detail ? 'failed'
 ORDER BY event_id DESC
 LIMIT 1
