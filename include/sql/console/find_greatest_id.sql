-- purpose: Read the greatest id of a table at its last maintenance
-- params: schema, name
-- returns: value
-- lock: ACCESS SHARE on runs and measurements
-- transaction: one
-- rerun: safe because it only reads
SELECT max((m.detail->>'greatest_id')::bigint)
  FROM partition_playbook.runs r
  JOIN partition_playbook.measurements m USING (run_id)
 WHERE r.table_schema = %(schema)s AND r.table_name = %(name)s AND m.stage = 'health' AND m.name = 'bytes'
