-- purpose: Estimate the waiting changes from the first and the last id of the change log, which no count of many rows could do in time
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(max(_partition_playbook_change) - min(_partition_playbook_change) + 1, 0) FROM {log}
