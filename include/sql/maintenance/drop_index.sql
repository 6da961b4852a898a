-- purpose: Drop the index of an interrupted exclusion
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the default partition
-- transaction: one
-- rerun: safe because a missing index is skipped
DROP INDEX IF EXISTS {index}
