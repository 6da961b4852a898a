-- purpose: Create the change log: the keys of changed rows, in the order of the changes
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because the caller checks first for the table
CREATE TABLE {log} AS SELECT {columns} FROM {source} WITH NO DATA;
ALTER TABLE {log} ADD COLUMN _partition_playbook_change bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
ALTER TABLE {log} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_insert_threshold = -1)
