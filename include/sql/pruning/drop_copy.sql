-- purpose: Drop the copy, as retention drops a partition
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the copy
-- transaction: one
-- rerun: safe because of IF EXISTS
DROP TABLE IF EXISTS {copy}
