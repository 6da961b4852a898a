-- purpose: List the health and the last run of the given tables
-- params: schemas, names
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
SELECT asked.table_schema, asked.table_name,
       h.status, h.problems, h.checked_at, h.partitions, h.ahead, h.gaps, h.default_rows, h.estimated_rows, h.bytes, h.bytes_per_day, h.full_at,
       (f.detail->>'partitions_end')::timestamptz AS partitions_end, (f.detail->>'due')::timestamptz AS due,
       r.run_id, r.mode, r.phase, r.verdict, r.plan_hash, r.opened_by, r.started_at, r.ended_at
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS asked (table_schema, table_name)
  LEFT JOIN partition_playbook.health h USING (table_schema, table_name)
  LEFT JOIN partition_playbook.measurements f ON f.run_id = h.run_id AND f.stage = 'health' AND f.name = 'bytes'
  LEFT JOIN LATERAL (SELECT *
                       FROM partition_playbook.runs
                      WHERE runs.table_schema = asked.table_schema AND runs.table_name = asked.table_name
                      ORDER BY started_at DESC
                      LIMIT 1) AS r ON true
