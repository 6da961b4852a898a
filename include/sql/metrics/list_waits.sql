-- purpose: Sum up the time that the tasks of the migration of every table waited, by reason
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
WITH tables AS MATERIALIZED (
    SELECT DISTINCT r.table_schema, r.table_name FROM partition_playbook.runs r
), migrations AS MATERIALIZED (
    SELECT DISTINCT ON (r.table_schema, r.table_name) r.table_schema, r.table_name, r.run_id, r.ended_at
      FROM partition_playbook.runs r
     WHERE r.mode NOT IN ('maintenance', 'plan')
     ORDER BY r.table_schema, r.table_name, r.phase IN ('shadowed', 'attached', 'live', 'rolled_back') DESC, r.started_at DESC
), waits AS MATERIALIZED (
    -- The next event of the same task ends a wait.
    SELECT m.table_schema, m.table_name, each.reason,
           extract(epoch FROM coalesce(ended.at, CASE WHEN m.ended_at IS NULL THEN now() END, e.happened_at) - e.happened_at) AS seconds
      FROM migrations m
      JOIN partition_playbook.events e ON e.run_id = m.run_id AND e.kind = 'note' AND e.detail ? 'waits_for'
      LEFT JOIN LATERAL (
          SELECT x.happened_at AS at
            FROM partition_playbook.events x
           WHERE x.run_id = e.run_id AND x.event_id > e.event_id
             AND x.detail #>> '{{origin,task_id}}' IS NOT DISTINCT FROM e.detail #>> '{{origin,task_id}}'
             AND x.detail #>> '{{origin,map_index}}' IS NOT DISTINCT FROM e.detail #>> '{{origin,map_index}}'
           ORDER BY x.event_id
           LIMIT 1) AS ended ON true
     CROSS JOIN LATERAL jsonb_array_elements_text(coalesce(e.detail->'reasons', '["other"]')) AS each (reason)
)
SELECT t.table_schema || '.' || t.table_name AS "table",
       k.reason AS reason,
       coalesce(sum(w.seconds), 0)::float8 AS throttled_seconds_total
  FROM tables t
 CROSS JOIN (VALUES ('paused'), ('replica_lag'), ('connections'), ('archiver'), ('running'), ('replication_slot'), ('other')) AS k (reason)
  LEFT JOIN waits w ON w.table_schema = t.table_schema AND w.table_name = t.table_name AND w.reason = k.reason
 GROUP BY t.table_schema, t.table_name, k.reason
 ORDER BY 1, 2
