-- purpose: Empty a partition before its load
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the partition, not in use yet
-- transaction: one
-- rerun: safe because the only session allowed to load it fills it again
TRUNCATE {partition}
