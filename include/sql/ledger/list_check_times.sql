-- purpose: Find the time of the last check of every section of a run
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on checks
-- transaction: one
-- rerun: safe because it only reads
SELECT section, max(checked_at) AS checked_at
  FROM partition_playbook.checks
 WHERE run_id = %(run_id)s
 GROUP BY section
