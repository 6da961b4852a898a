-- purpose: Stop the capture on a table
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because what is gone already is passed over
DROP TRIGGER IF EXISTS partition_playbook_insert ON {table};
DROP TRIGGER IF EXISTS partition_playbook_update ON {table};
DROP TRIGGER IF EXISTS partition_playbook_delete ON {table};
DROP TRIGGER IF EXISTS partition_playbook_truncate ON {table}
