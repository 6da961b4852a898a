-- purpose: Find the Airflow user who triggered a run, among its first events
-- params: run_id, message, first
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT early.detail->>'by' AS by
  FROM (SELECT message, detail
          FROM partition_playbook.events
         WHERE run_id = %(run_id)s
         ORDER BY event_id
         LIMIT %(first)s) AS early
 WHERE early.message = %(message)s
 LIMIT 1
