-- purpose: Let the application write to a table that is live again
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table, for a guard of each row on its partitions too
-- transaction: one
-- rerun: safe because of IF EXISTS
DROP TRIGGER IF EXISTS partition_playbook_guard ON {table};
DROP FUNCTION IF EXISTS {function}()
