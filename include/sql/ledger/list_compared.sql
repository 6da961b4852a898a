-- purpose: List the equal slices of the last comparison of a task that was interrupted
-- params: run_id, section, proof, origin
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT e.detail
  FROM partition_playbook.events e
 WHERE e.run_id = %(run_id)s
   AND e.section = %(section)s
   AND e.kind = 'comparison'
   AND e.detail ->> 'proof' = %(proof)s
   AND (e.detail -> 'origin') - 'try_number' = %(origin)s
   AND e.event_id > coalesce((SELECT max(d.event_id) FROM partition_playbook.events d
                               WHERE d.run_id = e.run_id AND d.section = e.section AND d.kind = 'comparison' AND d.detail ? 'complete'), 0)
 ORDER BY e.event_id
