-- purpose: Count the rows of a table
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FROM {table}
