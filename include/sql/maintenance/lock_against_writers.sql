-- purpose: Block new writes to a table and wait for running ones; readers are not blocked
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a transaction may hold it twice
LOCK TABLE ONLY {table} IN SHARE ROW EXCLUSIVE MODE
