-- purpose: List the loads of a run, the running ones with their rows so far, estimated from the size
-- params: run_id, schema, source
-- returns: rows
-- lock: ACCESS SHARE on loads
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT pg_relation_size(c.oid) / greatest(c.reltuples, 1) AS row_bytes
      FROM pg_class c
     WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(source)s::text))
       AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')
)
SELECT l.partition_name AS name, l.lower_bound AS lower, l.upper_bound AS upper, l.state, l.expected_rows, l.rows, l.bytes, l.started_at, l.ended_at,
       CASE WHEN l.state <> 'loading' THEN NULL
            WHEN NOT EXISTS (SELECT FROM pg_locks k WHERE k.relation = c.oid AND k.mode = 'AccessExclusiveLock')
            THEN (pg_relation_size(c.oid) / greatest(source.row_bytes, 1))::bigint
            -- ROW EXCLUSIVE and ACCESS EXCLUSIVE together: all rows are written, the load builds the primary key.
            WHEN EXISTS (SELECT FROM pg_locks k WHERE k.relation = c.oid AND k.mode = 'RowExclusiveLock' AND k.granted)
            THEN l.expected_rows END AS rows_so_far
  FROM partition_playbook.loads l
  LEFT JOIN source ON true
  LEFT JOIN pg_class c ON l.state = 'loading' AND c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, l.partition_name))
 WHERE l.run_id = %(run_id)s
 ORDER BY l.lower_bound
