-- purpose: Keep autovacuum off a table before its exclusive lock is asked for; readers and writers go on
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a transaction may hold it twice
LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE
