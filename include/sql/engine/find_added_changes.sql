-- purpose: Find the ids of the changes that this transaction has added to the change log
-- params: newest
-- returns: row
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS added, coalesce(min(_partition_playbook_change), 1) AS added_first, coalesce(max(_partition_playbook_change), 0) AS added_last
  FROM {log}
 WHERE _partition_playbook_change > %(newest)s
