-- purpose: Drop a foreign key of the table that is not live, so that it does not hold back the application's deletes
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on both tables, for an instant
-- transaction: one
-- rerun: safe because what is gone already is passed over
ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}
