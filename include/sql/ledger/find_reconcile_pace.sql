-- purpose: Sum up the last batches of a run: their changes and seconds, and the changes written from the first to the last
-- params: run_id, batches
-- returns: row
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(sum(taken), 0) AS taken,
       coalesce(sum(seconds), 0) AS seconds,
       coalesce(max(position) - min(position), 0) AS written,
       coalesce(extract(epoch FROM max(happened_at) - min(happened_at)), 0)::float8 AS passed
  FROM (SELECT happened_at,
               (detail->>'taken')::float8 AS taken,
               (detail->>'seconds')::float8 AS seconds,
               (detail->>'position')::bigint AS position
          FROM partition_playbook.events
         WHERE run_id = %(run_id)s AND kind = 'backlog' AND detail ? 'taken'
         ORDER BY event_id DESC
         LIMIT %(batches)s) AS batches
