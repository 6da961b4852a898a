-- purpose: Create an empty temporary table with the name, the columns and the defaults of a table; the caller always rolls back
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because the caller always rolls it back
CREATE TEMPORARY TABLE {clone} (LIKE {source} INCLUDING DEFAULTS) {partitioning} ON COMMIT DROP
