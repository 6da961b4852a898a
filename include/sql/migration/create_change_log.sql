-- purpose: Create the change log: the key of every row that changes, in the order in which the changes were made
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because the caller looks whether it is there first
CREATE TABLE {log} AS SELECT {columns} FROM {source} WITH NO DATA;
ALTER TABLE {log} ADD COLUMN _partition_playbook_change bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE {log} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_insert_threshold = -1)
