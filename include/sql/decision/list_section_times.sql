-- purpose: Find the first and the last trace of every section of a run
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
SELECT section, min(began) AS started_at, max(ended) AS ended_at
  FROM (SELECT section, happened_at - coalesce(duration_ms, 0) * interval '1 millisecond' AS began, happened_at AS ended
          FROM partition_playbook.events WHERE run_id = %(run_id)s
        UNION ALL
        SELECT section, checked_at, checked_at FROM partition_playbook.checks WHERE run_id = %(run_id)s
        UNION ALL
        SELECT CASE stage WHEN 'before' THEN 'snapshot' WHEN 'after' THEN 'pruning' WHEN 'gains' THEN 'pruning' ELSE stage END,
               taken_at, taken_at
          FROM partition_playbook.measurements WHERE run_id = %(run_id)s
        UNION ALL
        SELECT 'migration', started_at, ended_at FROM partition_playbook.loads WHERE run_id = %(run_id)s) AS traces
 GROUP BY section
 ORDER BY min(began)
