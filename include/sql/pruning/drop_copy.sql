-- purpose: Drop the copy, as retention drops a partition
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the copy
-- transaction: one
-- rerun: safe because what is gone already is passed over
DROP TABLE IF EXISTS {copy}
