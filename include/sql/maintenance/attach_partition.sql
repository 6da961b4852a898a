-- purpose: Attach a new partition; its CHECK constraint proves the bounds without a scan
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ACCESS EXCLUSIVE on its default partition, SHARE ROW EXCLUSIVE on the referenced tables
-- transaction: one
-- rerun: safe because the caller checks under the table's lock that the range is free
ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM ({lower}) TO ({upper});
ALTER TABLE {partition} DROP CONSTRAINT partition_playbook_bounds
