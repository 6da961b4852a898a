-- purpose: Read the greatest id of a table as measured by the earliest maintenance of the last days, at least an hour ago, and its age in days
-- params: schema, name, days
-- returns: rows
-- lock: ACCESS SHARE on runs and measurements
-- transaction: one
-- rerun: safe because it only reads
SELECT (m.detail->>'greatest_id')::bigint AS id, extract(epoch FROM clock_timestamp() - m.taken_at)::float8 / 86400 AS days
  FROM partition_playbook.runs r
  JOIN partition_playbook.measurements m USING (run_id)
 WHERE r.table_schema = %(schema)s
   AND r.table_name = %(name)s
   AND m.stage = 'health'
   AND m.name = 'bytes'
   AND m.detail ? 'greatest_id'
   AND m.taken_at BETWEEN clock_timestamp() - make_interval(days => %(days)s) AND clock_timestamp() - interval '1 hour'
 ORDER BY m.taken_at
 LIMIT 1
