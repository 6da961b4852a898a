-- purpose: Add a foreign key to the partitioned table; it adopts the validated keys of its partitions without a scan
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on both tables, for an instant
-- transaction: one
-- rerun: safe because the caller checks first for the key
ALTER TABLE {table} ADD CONSTRAINT {name} {definition}
