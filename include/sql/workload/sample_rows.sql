-- purpose: Copy some rows of a table to a temporary table; the caller always rolls back
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because the caller always rolls it back
CREATE TEMPORARY TABLE partition_playbook_sample ON COMMIT DROP AS
SELECT {columns} FROM {source} LIMIT 3
