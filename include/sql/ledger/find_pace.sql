-- purpose: Find the rows and the seconds of the loads of the last measured run of a table
-- params: table_schema, table_name
-- returns: rows
-- lock: ACCESS SHARE on runs and loads
-- transaction: one
-- rerun: safe because it only reads
SELECT l.run_id, sum(l.rows)::bigint AS rows,
       extract(epoch FROM max(l.ended_at) - min(l.started_at))::float8 AS seconds
  FROM partition_playbook.loads l
  JOIN partition_playbook.runs r USING (run_id)
 WHERE r.table_schema = %(table_schema)s
   AND r.table_name = %(table_name)s
   AND l.ended_at IS NOT NULL
   AND l.rows > 0
 GROUP BY l.run_id, r.started_at
HAVING max(l.ended_at) > min(l.started_at)
 ORDER BY r.started_at DESC
 LIMIT 1
