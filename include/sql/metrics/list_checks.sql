-- purpose: Count the last outcomes of the checks of every table, by section, of its migration and its last maintenance
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
WITH newest AS MATERIALIZED (
    SELECT DISTINCT ON (r.table_schema, r.table_name, r.mode = 'maintenance') r.table_schema, r.table_name, r.run_id
      FROM partition_playbook.runs r
     WHERE r.mode <> 'plan'
     ORDER BY r.table_schema, r.table_name, r.mode = 'maintenance', r.phase IN ('shadowed', 'attached', 'live', 'rolled_back') DESC, r.started_at DESC
), last AS MATERIALIZED (
    SELECT DISTINCT ON (n.table_schema, n.table_name, c.section, c.name) n.table_schema, n.table_name, c.section, c.name, c.outcome
      FROM newest n
      JOIN partition_playbook.checks c ON c.run_id = n.run_id
     ORDER BY n.table_schema, n.table_name, c.section, c.name, c.check_id DESC
)
SELECT l.table_schema || '.' || l.table_name AS "table",
       l.section AS section,
       o.outcome AS outcome,
       count(*) FILTER (WHERE l.outcome = o.outcome) AS checks
  FROM last l
 CROSS JOIN (VALUES ('passed'), ('failed'), ('skipped'), ('waived')) AS o (outcome)
 GROUP BY l.table_schema, l.table_name, l.section, o.outcome
 ORDER BY 1, 2, 3
