-- purpose: List the versions of Partition Playbook that wrote the first and the last event of a run
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
WITH ends AS (
    (SELECT event_id, detail FROM partition_playbook.events WHERE run_id = %(run_id)s ORDER BY event_id LIMIT 1)
    UNION ALL
    (SELECT event_id, detail FROM partition_playbook.events WHERE run_id = %(run_id)s ORDER BY event_id DESC LIMIT 1)
)
SELECT detail #>> '{{origin,version}}' AS version
  FROM ends
 WHERE detail #>> '{{origin,version}}' IS NOT NULL
 GROUP BY 1
 ORDER BY min(event_id)
