-- purpose: Check that the table for doubled rows exists and was made by Partition Playbook
-- params: table
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) = 1
  FROM pg_attribute
 WHERE attrelid = to_regclass(%(table)s) AND attname = '_partition_playbook_doubled' AND NOT attisdropped
