-- purpose: Find the last look at the change log, and the first one that had seen the oldest waiting change
-- params: run_id, oldest
-- returns: row
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
WITH looks AS (
    SELECT event_id, happened_at, (detail->>'last_change')::bigint AS last_change
      FROM partition_playbook.events
     WHERE run_id = %(run_id)s AND kind = 'backlog' AND detail ? 'last_change'
)
SELECT (SELECT min(happened_at) FROM looks WHERE last_change >= %(oldest)s) AS seen_at,
       (SELECT happened_at FROM looks ORDER BY event_id DESC LIMIT 1) AS last_at,
       (SELECT last_change FROM looks ORDER BY event_id DESC LIMIT 1) AS last_change
