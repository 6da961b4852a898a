-- purpose: Stop the capture of a split or a merge
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the default partition
-- transaction: one
-- rerun: safe because a trigger that does not exist is skipped
DROP TRIGGER IF EXISTS partition_playbook_split_insert ON {table};
DROP TRIGGER IF EXISTS partition_playbook_split_update ON {table};
DROP TRIGGER IF EXISTS partition_playbook_split_delete ON {table};
DROP TRIGGER IF EXISTS partition_playbook_split_truncate ON {table}
