-- purpose: Create the partitioned table through which one scan fills several detached partitions
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the shadow
-- transaction: one
-- rerun: safe because the caller drops one that a failed load left
CREATE TABLE {parent} (LIKE {shadow} INCLUDING GENERATED) PARTITION BY RANGE ({partition_by})
