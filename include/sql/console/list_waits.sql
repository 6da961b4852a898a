-- purpose: List the waiting tasks of a run with the reason: those with a wait as their last recent event
-- params: run_id, limit
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
WITH recent AS (
    SELECT event_id, happened_at, detail, detail #>> '{{origin,task_id}}' AS task, detail #>> '{{origin,map_index}}' AS map_index
      FROM partition_playbook.events
     WHERE run_id = %(run_id)s
     ORDER BY event_id DESC
     LIMIT %(limit)s
), last AS (
    SELECT DISTINCT ON (task, map_index) *
      FROM recent
     ORDER BY task, map_index, event_id DESC
)
SELECT task, detail->>'partition' AS partition, detail->>'waits_for' AS why, happened_at AS since
  FROM last
 WHERE detail ? 'waits_for'
 ORDER BY event_id
