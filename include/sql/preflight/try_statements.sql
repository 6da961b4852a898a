-- purpose: Try statements of a migration on a new table, for the event triggers that they fire
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because the caller rolls it back
CREATE TABLE {table} (id integer) PARTITION BY RANGE (id);
ALTER TABLE {table} ADD CONSTRAINT partition_playbook_try CHECK (id > 0);
DROP TABLE {table}
