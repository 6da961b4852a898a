-- purpose: Block writes to a table detached by retention; readers are not blocked
-- params: none
-- returns: none
-- lock: SHARE on the table
-- transaction: one
-- rerun: safe because a transaction may hold it twice
LOCK TABLE ONLY {table} IN SHARE MODE
