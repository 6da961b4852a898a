-- purpose: Lock a table against everybody
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a transaction may hold it twice
LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE
