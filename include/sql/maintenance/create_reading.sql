-- purpose: Create a temporary table like an archived one, to read the archive back; generated columns are generated again
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it is dropped at the end of the transaction
CREATE TEMPORARY TABLE {reading} (LIKE {table} INCLUDING GENERATED) ON COMMIT DROP
