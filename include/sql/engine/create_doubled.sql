-- purpose: Create the table for the rows that the original's unique keys do not allow in it
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the retired table
-- transaction: one
-- rerun: safe because the caller checks first for the table
CREATE TABLE {doubled} (LIKE {standby} INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS);
ALTER TABLE {doubled} ADD COLUMN _partition_playbook_doubled bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                      ADD COLUMN _partition_playbook_doubled_at timestamptz NOT NULL DEFAULT now(),
                      ADD COLUMN _partition_playbook_left_at timestamptz;
CREATE INDEX ON {doubled} ({columns}) WHERE _partition_playbook_left_at IS NULL;
COMMENT ON COLUMN {doubled}._partition_playbook_doubled_at IS 'when Partition Playbook wrote the row here';
COMMENT ON COLUMN {doubled}._partition_playbook_left_at IS 'when a rollback took the row out of the live table; NULL while it is there as well'
