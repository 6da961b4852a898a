-- purpose: Lock a table against reads and writes
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a transaction can take it twice
LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE
