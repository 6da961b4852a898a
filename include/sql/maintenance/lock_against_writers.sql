-- purpose: Let no write begin on a table, and wait for those under way; readers go on
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a transaction may hold it twice
LOCK TABLE ONLY {table} IN SHARE ROW EXCLUSIVE MODE
