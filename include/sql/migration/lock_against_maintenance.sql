-- purpose: Keep autovacuum and other changes of its partitions off a table; readers and writers go on
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a transaction may hold it twice
LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE
