-- purpose: List the partitions that the changes of a batch reach, by number
-- params: first, last, added_first, added_last
-- returns: rows
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT {bucket} AS bucket
  FROM {log} AS t
 WHERE t._partition_playbook_change BETWEEN %(first)s AND %(last)s
    OR t._partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s
 ORDER BY 1
