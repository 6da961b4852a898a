-- purpose: Delete the reconciled changes from the change log
-- params: first, last, added_first, added_last
-- returns: none
-- lock: ROW EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because deleted changes are skipped
DELETE FROM {log}
 WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
    OR _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s
