-- purpose: List the samples of the backlog of a run, oldest first: in each of so many pieces the highest, and the newest of all
-- params: run_id, after, pieces
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
WITH samples AS (
    SELECT event_id, happened_at, rows + coalesce((detail->>'taken')::bigint, 0) AS before, rows AS waiting,
           coalesce((detail->>'estimated')::boolean, false) AS estimated
      FROM partition_playbook.events
     WHERE run_id = %(run_id)s AND kind = 'backlog' AND event_id > %(after)s
), pieces AS (
    SELECT *, ntile(%(pieces)s) OVER (ORDER BY event_id) AS piece
      FROM samples
), ranked AS (
    SELECT *,
           row_number() OVER (PARTITION BY piece ORDER BY before DESC, event_id) AS place,
           row_number() OVER (ORDER BY event_id DESC) AS from_the_end
      FROM pieces
)
SELECT event_id, happened_at, before, waiting, estimated
  FROM ranked
 WHERE place = 1 OR from_the_end = 1
 ORDER BY event_id
