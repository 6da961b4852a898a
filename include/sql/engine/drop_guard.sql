-- purpose: Let the application write to a table that is live again
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table and its partitions
-- transaction: one
-- rerun: safe because of IF EXISTS
DROP TRIGGER IF EXISTS partition_playbook_guard ON {table}
