-- purpose: Remove the CHECK constraint with a switch from the default partition, its index and its function
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the default partition
-- transaction: one
-- rerun: safe because a missing part is skipped
ALTER TABLE {default} DROP CONSTRAINT IF EXISTS partition_playbook_excluded;
DROP INDEX IF EXISTS {index};
DROP FUNCTION IF EXISTS {function}()
