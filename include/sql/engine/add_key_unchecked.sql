-- purpose: Add a foreign key as NOT VALID: it applies to new rows now, and to old ones once validated
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on both tables, for an instant
-- transaction: one
-- rerun: safe because the caller checks first for the key
ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID
