-- purpose: Allow NULL in a column of the temporary table; the caller always rolls back
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on a temporary table
-- transaction: one
-- rerun: safe because the caller always rolls it back
ALTER TABLE {clone} ALTER COLUMN {column} DROP NOT NULL
