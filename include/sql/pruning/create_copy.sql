-- purpose: Create an empty copy of a partition, to measure the cost of retention
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the partition
-- transaction: one
-- rerun: safe because the caller drops the copy of an earlier try first
CREATE TABLE {copy} (LIKE {partition} INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING INDEXES)
