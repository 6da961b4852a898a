-- purpose: Add a foreign key that binds new rows at once and old rows after it is validated
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on both tables, for an instant
-- transaction: one
-- rerun: safe because the caller looks whether it is there first
ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID
