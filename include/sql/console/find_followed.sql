-- purpose: Find the runs with events of a given run of another DAG, under its section
-- params: dag_id, run_id, section
-- returns: rows
-- lock: ACCESS SHARE on runs and events
-- transaction: one
-- rerun: safe because it only reads
SELECT run_id, table_schema, table_name
  FROM partition_playbook.runs
 WHERE EXISTS (SELECT
                 FROM partition_playbook.events e
                WHERE e.run_id = runs.run_id
                  AND e.section = %(section)s
                  AND e.detail #>> '{{origin,dag_id}}' = %(dag_id)s
                  AND e.detail #>> '{{origin,run_id}}' = %(run_id)s)
 ORDER BY run_id
