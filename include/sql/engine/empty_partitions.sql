-- purpose: Empty partitions with rows of a load that failed, before the next one
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the partitions, not in use yet
-- transaction: one
-- rerun: safe because the only session allowed to load them fills them again
TRUNCATE {partitions}
