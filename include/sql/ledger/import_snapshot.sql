-- purpose: See exactly what the session sees that exported a snapshot
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SET TRANSACTION SNAPSHOT {snapshot}
