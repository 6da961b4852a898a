-- purpose: Create a partition of the temporary table; the caller always rolls back
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on a temporary table
-- transaction: one
-- rerun: safe because the caller always rolls it back
CREATE TEMPORARY TABLE {partition} PARTITION OF {clone} {bounds} ON COMMIT DROP
