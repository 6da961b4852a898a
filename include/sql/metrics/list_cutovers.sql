-- purpose: List the last swap of every table of the ledger in both directions: time waited and held, tries
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
WITH tables AS MATERIALIZED (
    SELECT DISTINCT r.table_schema, r.table_name FROM partition_playbook.runs r
), swaps AS MATERIALIZED (
    SELECT r.table_schema, r.table_name, x.taken_at, x.detail, x.run_id,
           CASE WHEN x.name = 'rollback_held_ms' THEN 'back' ELSE 'forward' END AS direction,
           x.value AS held_ms,
           w.value AS waited_ms
      FROM partition_playbook.measurements x
      JOIN partition_playbook.runs r ON r.run_id = x.run_id
      LEFT JOIN partition_playbook.measurements w
             ON w.run_id = x.run_id AND w.stage = x.stage AND w.name = replace(x.name, 'held_ms', 'waited_ms')
     WHERE x.stage = 'migration' AND x.name LIKE '%\_held\_ms'
)
SELECT t.table_schema || '.' || t.table_name AS "table",
       d.direction AS direction,
       coalesce(s.held_ms / 1000, 0) AS cutover_lock_held_seconds,
       coalesce(s.waited_ms / 1000, 0) AS cutover_lock_waited_seconds,
       coalesce((s.detail->>'tries')::int, 0) AS cutover_lock_attempts
  FROM tables t
 CROSS JOIN (VALUES ('forward'), ('back')) AS d (direction)
  LEFT JOIN LATERAL (
      SELECT *
        FROM swaps
       WHERE swaps.table_schema = t.table_schema AND swaps.table_name = t.table_name AND swaps.direction = d.direction
       ORDER BY swaps.taken_at DESC
       LIMIT 1) AS s ON true
 ORDER BY 1, 2
