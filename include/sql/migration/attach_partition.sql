-- purpose: Attach a loaded partition; its check proves the bounds without a scan
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the shadow, ACCESS EXCLUSIVE on the partition
-- transaction: one
-- rerun: safe because the caller looks whether it is attached first
ALTER TABLE {shadow} ATTACH PARTITION {partition} FOR VALUES FROM ({lower}) TO ({upper});
ALTER TABLE {partition} DROP CONSTRAINT partition_playbook_bounds
