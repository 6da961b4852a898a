-- purpose: Create an empty copy of a partition, to measure on it what retention costs
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the partition
-- transaction: one
-- rerun: safe because the caller drops what an earlier try left
CREATE TABLE {copy} (LIKE {partition} INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING INDEXES)
