-- purpose: Sum up the recent batches of a run, and find how many changes were written since a sample of its change log
-- params: run_id, limit, last_change, batches, least_seconds
-- returns: row
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
WITH recent AS (
    SELECT event_id, happened_at, kind, detail
      FROM partition_playbook.events
     WHERE run_id = %(run_id)s
     ORDER BY event_id DESC
     LIMIT %(limit)s
), samples AS (
    SELECT event_id, (detail->>'position')::bigint AS position, (detail->>'taken')::float8 AS taken, (detail->>'seconds')::float8 AS seconds,
           extract(epoch FROM clock_timestamp() - happened_at)::float8 AS ago
      FROM recent
     WHERE kind = 'backlog' AND detail ? 'position'
), batches AS (
    SELECT taken, seconds FROM samples WHERE taken IS NOT NULL ORDER BY event_id DESC LIMIT %(batches)s
), since AS (
    -- Less time would tell the rate of a moment. A change log that was created anew since begins at zero.
    SELECT %(last_change)s - position AS written, ago
      FROM samples
     WHERE ago >= %(least_seconds)s AND position <= %(last_change)s
     ORDER BY event_id DESC
     LIMIT 1
)
SELECT (SELECT coalesce(sum(taken), 0) FROM batches) AS taken,
       (SELECT coalesce(sum(seconds), 0) FROM batches) AS seconds,
       (SELECT written FROM since) AS written,
       (SELECT ago FROM since) AS ago
