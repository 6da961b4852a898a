-- purpose: Keep writers off a table that retention has detached; readers go on
-- params: none
-- returns: none
-- lock: SHARE on the table
-- transaction: one
-- rerun: safe because a transaction may hold it twice
LOCK TABLE ONLY {table} IN SHARE MODE
