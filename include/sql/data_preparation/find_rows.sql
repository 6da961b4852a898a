-- purpose: Return true if a table has a row
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT EXISTS (SELECT FROM {table})
