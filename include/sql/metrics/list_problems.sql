-- purpose: List the checks of the last maintenance of every table: 1 for a problem, else 0
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
WITH tables AS MATERIALIZED (
    SELECT DISTINCT r.table_schema, r.table_name FROM partition_playbook.runs r
), last AS MATERIALIZED (
    -- As the view health, on which nothing shall depend.
    SELECT DISTINCT ON (r.table_schema, r.table_name)
           r.table_schema, r.table_name, r.run_id,
           ARRAY(SELECT jsonb_array_elements_text(m.detail->'problems'))
               || CASE WHEN m.taken_at < now() - coalesce((m.detail->>'silence_seconds')::float8 * interval '1 second', interval '35 days') THEN ARRAY['not_checked'] END AS problems
      FROM partition_playbook.measurements m
      JOIN partition_playbook.runs r ON r.run_id = m.run_id
     WHERE m.stage = 'health' AND m.name = 'bytes'
     ORDER BY r.table_schema, r.table_name, m.taken_at DESC
), found AS (
    SELECT l.table_schema, l.table_name, c.name AS "check", 0 AS problem
      FROM last l
      JOIN partition_playbook.checks c ON c.run_id = l.run_id AND c.section = 'maintenance'
     UNION ALL
    -- A problem that is a sentence would make a series of every error.
    SELECT l.table_schema, l.table_name,
           CASE WHEN each ~ '^[a-z0-9_]+$' THEN each ELSE 'error' END, 1
      FROM last l
     CROSS JOIN LATERAL unnest(l.problems) AS each
     UNION ALL
    SELECT t.table_schema, t.table_name, k.name, 0
      FROM tables t
     CROSS JOIN (VALUES ('error'), ('not_checked')) AS k (name)
)
SELECT f.table_schema || '.' || f.table_name AS "table",
       f."check" AS "check",
       max(f.problem) AS problems
  FROM found f
 GROUP BY f.table_schema, f.table_name, f."check"
 ORDER BY 1, 2
