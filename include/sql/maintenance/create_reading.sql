-- purpose: Create a temporary table like an archived one, to read its archive back; what is generated is generated again
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it goes with the transaction
CREATE TEMPORARY TABLE {reading} (LIKE {table} INCLUDING GENERATED) ON COMMIT DROP
