-- purpose: Take the reconciled changes off the change log
-- params: changes
-- returns: none
-- lock: ROW EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because a change that is gone already is passed over
DELETE FROM {log} WHERE _partition_playbook_change = ANY (%(changes)s)
