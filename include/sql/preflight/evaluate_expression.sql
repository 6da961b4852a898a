-- purpose: Evaluate an expression of a table for one of its rows
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT ({expression}) IS NULL FROM {source} LIMIT 1
