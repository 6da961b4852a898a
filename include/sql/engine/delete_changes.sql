-- purpose: Delete the reconciled changes from the change log
-- params: changes
-- returns: none
-- lock: ROW EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because deleted changes are skipped
DELETE FROM {log} WHERE _partition_playbook_change = ANY (%(changes)s)
