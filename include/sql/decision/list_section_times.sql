-- purpose: Find the times of the first and the last record of each section of a run, and how long its questions waited
-- params: run_id, answered
-- returns: rows
-- lock: ACCESS SHARE on the ledger
-- transaction: one
-- rerun: safe because it only reads
WITH traces AS (
    SELECT section, happened_at - coalesce(duration_ms, 0) * interval '1 millisecond' AS began, happened_at AS ended
      FROM partition_playbook.events WHERE run_id = %(run_id)s
    UNION ALL
    SELECT section, checked_at, checked_at FROM partition_playbook.checks WHERE run_id = %(run_id)s
    UNION ALL
    -- Later sections write measurements of the stage migration too: comparisons, and the second cutover.
    SELECT CASE stage WHEN 'before' THEN 'snapshot' WHEN 'after' THEN 'pruning' WHEN 'gains' THEN 'pruning' ELSE stage END,
           taken_at, taken_at
      FROM partition_playbook.measurements WHERE run_id = %(run_id)s AND stage <> 'migration'
    UNION ALL
    SELECT 'migration', started_at, ended_at FROM partition_playbook.loads WHERE run_id = %(run_id)s
), answers AS (
    SELECT section, happened_at FROM partition_playbook.events
     WHERE run_id = %(run_id)s AND kind = 'note' AND message = %(answered)s
), waits AS (
    -- A section records nothing while its question waits, so the record before the answer is the beginning.
    SELECT a.section, sum(a.happened_at - before.ended) AS waited
      FROM answers AS a
      CROSS JOIN LATERAL (SELECT max(t.ended) AS ended FROM traces AS t
                           WHERE t.section = a.section AND t.ended < a.happened_at) AS before
     GROUP BY a.section
)
SELECT t.section, min(t.began) AS started_at, max(t.ended) AS ended_at, coalesce(w.waited, '0') AS waited
  FROM traces AS t
  LEFT JOIN waits AS w ON w.section = t.section
 GROUP BY t.section, w.waited
 ORDER BY min(t.began)
