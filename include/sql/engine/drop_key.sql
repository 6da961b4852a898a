-- purpose: Drop a foreign key, so that the standby does not block the application's deletes
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on both tables, briefly
-- transaction: one
-- rerun: safe because of IF EXISTS
ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}
