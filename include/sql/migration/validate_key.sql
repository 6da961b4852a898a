-- purpose: Validate a foreign key while everybody goes on reading and writing
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ROW SHARE on the one referred to
-- transaction: one
-- rerun: safe because validating what is valid does nothing
ALTER TABLE {table} VALIDATE CONSTRAINT {name}
