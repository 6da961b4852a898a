-- purpose: List a page of the runs of a table, newest first
-- params: schema, name, before, limit
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
SELECT r.run_id, r.mode, r.phase, r.verdict, r.plan_hash, r.opened_by, r.started_at, r.ended_at, l.partitions, l.rows, l.bytes
  FROM (SELECT *
          FROM partition_playbook.runs
         WHERE table_schema = %(schema)s AND table_name = %(name)s
           AND started_at < coalesce(%(before)s::timestamptz, 'infinity')
         ORDER BY started_at DESC
         LIMIT %(limit)s) AS r
 CROSS JOIN LATERAL (SELECT count(*) AS partitions, sum(rows)::bigint AS rows, sum(bytes)::bigint AS bytes
                       FROM partition_playbook.loads
                      WHERE loads.run_id = r.run_id) AS l
 ORDER BY r.started_at DESC
