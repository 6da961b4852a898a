-- purpose: Drop the capture triggers of a table
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because of IF EXISTS
DROP TRIGGER IF EXISTS partition_playbook_insert ON {table};
DROP TRIGGER IF EXISTS partition_playbook_update ON {table};
DROP TRIGGER IF EXISTS partition_playbook_delete ON {table};
DROP TRIGGER IF EXISTS partition_playbook_truncate ON {table}
