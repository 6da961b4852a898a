-- purpose: List the last outcome of every check of a run, in the order of their first outcomes
-- params: run_id
-- returns: rows
-- lock: ACCESS SHARE on checks
-- transaction: one
-- rerun: safe because it only reads
SELECT *
  FROM (SELECT DISTINCT ON (section, name) *, min(check_id) OVER (PARTITION BY section, name) AS first_id
          FROM partition_playbook.checks
         WHERE run_id = %(run_id)s
         ORDER BY section, name, check_id DESC) AS last
 ORDER BY first_id
