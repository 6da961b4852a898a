-- purpose: Detach a partition from the parent of its load
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the parent and the partition, not in use yet
-- transaction: one
-- rerun: safe because the caller checks first for the partition
ALTER TABLE {parent} DETACH PARTITION {partition}
