-- purpose: Drop a table or materialized view out of use; it fails if other objects depend on it
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table and its referenced tables
-- transaction: one
-- rerun: safe because of IF EXISTS
DROP {kind} IF EXISTS {table}
