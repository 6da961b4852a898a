-- purpose: Disable the table's own triggers, rolled back after the try of the capture
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because it is rolled back
ALTER TABLE ONLY {table} DISABLE TRIGGER USER
