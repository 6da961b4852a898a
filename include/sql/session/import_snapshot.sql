-- purpose: Use the exported snapshot of another session
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SET TRANSACTION SNAPSHOT {snapshot}
