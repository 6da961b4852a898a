-- purpose: Write the keys of the rows outside the planned partitions, committed before capture began, to the change log
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the source, ROW EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because a key that is in the change log twice is reconciled once
INSERT INTO {log} ({columns}) SELECT {columns} FROM {source} WHERE NOT ({within})
