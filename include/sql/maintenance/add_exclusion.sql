-- purpose: Add a CHECK constraint with a switch to the default partition; while the switch is open, it refuses no row
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the default partition
-- transaction: one
-- rerun: safe because the caller removes an earlier one first
GRANT EXECUTE ON FUNCTION {function}() TO PUBLIC;
ALTER TABLE {default} ADD CONSTRAINT partition_playbook_excluded CHECK (({outside}) OR {function}()) NOT VALID
