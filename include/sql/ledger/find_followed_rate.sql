-- purpose: Find the time of a batch of reconcile by its changes, as earlier runs have measured it, of this table or of the others
-- params: table_schema, table_name, own, least
-- returns: rows
-- lock: ACCESS SHARE on runs and events
-- transaction: one
-- rerun: safe because it only reads
WITH tables AS (
    SELECT DISTINCT table_schema, table_name
      FROM partition_playbook.runs
     WHERE ((table_schema, table_name) = (%(table_schema)s::text, %(table_name)s::text)) = %(own)s::bool
), samples AS (
    -- The newest samples of the newest runs: a ledger of years has millions of events, and each is read as JSON.
    SELECT tables.table_schema, tables.table_name, newest.*
      FROM tables
     CROSS JOIN LATERAL (SELECT r.run_id
                           FROM partition_playbook.runs r
                          WHERE r.table_schema = tables.table_schema AND r.table_name = tables.table_name AND r.mode <> 'maintenance'
                          ORDER BY r.started_at DESC
                          LIMIT 10) AS latest
     CROSS JOIN LATERAL (SELECT e.run_id, e.event_id,
                                (e.detail->>'taken')::float8 AS taken,
                                (e.detail->>'seconds')::float8 AS seconds
                           FROM partition_playbook.events e
                          WHERE e.run_id = latest.run_id AND e.kind = 'backlog' AND e.section = 'migration' AND e.detail ? 'taken'
                          ORDER BY e.event_id DESC
                          LIMIT 100) AS newest
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY table_schema, table_name ORDER BY event_id DESC) AS number FROM samples
)
SELECT table_schema, table_name,
       (array_agg(run_id ORDER BY number))[1] AS run_id,
       %(own)s::bool AS own,
       sum(taken) AS taken,
       sum(seconds) AS seconds,
       regr_intercept(seconds, taken) AS fixed_seconds,
       regr_slope(seconds, taken) AS change_seconds
  FROM numbered
 WHERE number <= 100
 GROUP BY table_schema, table_name
HAVING sum(taken) >= %(least)s AND sum(seconds) > 0
 ORDER BY sum(taken) / sum(seconds)
 LIMIT 1
