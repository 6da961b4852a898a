-- purpose: Count the waiting changes
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FROM {log}
