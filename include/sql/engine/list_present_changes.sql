-- purpose: List the changes to rows that the standby has
-- params: first, last
-- returns: value
-- lock: ACCESS SHARE on the standby
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(array_agg(k._partition_playbook_change), '{{}}')
  FROM {log} AS k
 WHERE k._partition_playbook_change BETWEEN %(first)s AND %(last)s AND EXISTS (SELECT FROM {standby} AS s WHERE {match})
