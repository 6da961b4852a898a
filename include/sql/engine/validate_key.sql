-- purpose: Validate a foreign key; reads and writes continue
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ROW SHARE on the referenced table
-- transaction: one
-- rerun: safe because validating a valid key does nothing
ALTER TABLE {table} VALIDATE CONSTRAINT {name}
