-- purpose: Attach a new partition; its check proves the bounds without a scan
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ACCESS EXCLUSIVE on its default partition, SHARE ROW EXCLUSIVE on the tables it refers to
-- transaction: one
-- rerun: safe because the caller looks under the table's lock whether the range is taken
ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM ({lower}) TO ({upper});
ALTER TABLE {partition} DROP CONSTRAINT partition_playbook_bounds
