-- purpose: Find the time of a batch of reconcile by its changes, as earlier runs have measured it, of this table first
-- params: table_schema, table_name, least
-- returns: rows
-- lock: ACCESS SHARE on runs and events
-- transaction: one
-- rerun: safe because it only reads
WITH samples AS (
    SELECT r.table_schema, r.table_name, e.run_id,
           (e.detail->>'taken')::float8 AS taken,
           (e.detail->>'seconds')::float8 AS seconds,
           row_number() OVER (PARTITION BY r.table_schema, r.table_name ORDER BY e.event_id DESC) AS number
      FROM partition_playbook.events e
      JOIN partition_playbook.runs r USING (run_id)
     WHERE e.kind = 'backlog' AND e.section = 'migration' AND e.detail ? 'taken'
)
SELECT table_schema, table_name,
       (array_agg(run_id ORDER BY number))[1] AS run_id,
       (table_schema, table_name) = (%(table_schema)s::text, %(table_name)s::text) AS own,
       sum(taken) AS taken,
       sum(seconds) AS seconds,
       regr_intercept(seconds, taken) AS fixed_seconds,
       regr_slope(seconds, taken) AS change_seconds
  FROM samples
 WHERE number <= 100
 GROUP BY table_schema, table_name
HAVING sum(taken) >= %(least)s AND sum(seconds) > 0
 ORDER BY own DESC, sum(taken) / sum(seconds)
 LIMIT 1
