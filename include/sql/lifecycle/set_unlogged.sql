-- purpose: Keep the rows of the retention proof out of the WAL, so that no publication and no standby gets them
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on a table not in use yet
-- transaction: one
-- rerun: safe because the table is new and empty
ALTER TABLE {partition} SET UNLOGGED
