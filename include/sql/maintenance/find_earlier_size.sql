-- purpose: Read an earlier size of a table as measured by maintenance, and its age in days
-- params: schema, name, least_days, most_days
-- returns: rows
-- lock: ACCESS SHARE on runs and measurements
-- transaction: one
-- rerun: safe because it only reads
SELECT m.value AS bytes, extract(epoch FROM clock_timestamp() - m.taken_at)::float8 / 86400 AS days
  FROM partition_playbook.runs r
  JOIN partition_playbook.measurements m USING (run_id)
 WHERE r.table_schema = %(schema)s
   AND r.table_name = %(name)s
   AND m.stage = 'health'
   AND m.name = 'bytes'
   AND m.value IS NOT NULL
   AND m.taken_at BETWEEN clock_timestamp() - make_interval(days => %(most_days)s)
                      AND clock_timestamp() - make_interval(days => %(least_days)s)
 ORDER BY m.taken_at
 LIMIT 1
