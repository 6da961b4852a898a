-- purpose: List a page of the runs of a table, newest first
-- params: schema, name, before, limit, triggered, first
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
SELECT r.run_id, r.mode, r.phase, r.verdict, r.plan_hash, r.opened_by, r.started_at, r.ended_at, l.partitions, l.rows, l.bytes,
       t.by AS triggered_by
  FROM (SELECT *
          FROM partition_playbook.runs
         WHERE table_schema = %(schema)s AND table_name = %(name)s
           AND started_at < coalesce(%(before)s::timestamptz, 'infinity')
         ORDER BY started_at DESC
         LIMIT %(limit)s) AS r
 CROSS JOIN LATERAL (SELECT count(*) AS partitions, sum(rows)::bigint AS rows, sum(bytes)::bigint AS bytes
                       FROM partition_playbook.loads
                      WHERE loads.run_id = r.run_id) AS l
 -- Bounded: a run has many events, and its Airflow user stands in one of the first.
  LEFT JOIN LATERAL (SELECT early.detail->>'by' AS by
                       FROM (SELECT message, detail
                               FROM partition_playbook.events
                              WHERE events.run_id = r.run_id
                              ORDER BY event_id
                              LIMIT %(first)s) AS early
                      WHERE early.message = %(triggered)s
                      LIMIT 1) AS t ON true
 ORDER BY r.started_at DESC
