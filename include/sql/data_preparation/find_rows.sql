-- purpose: Tell whether a table has any row
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT EXISTS (SELECT FROM {table})
