-- purpose: Attach a loaded partition; its CHECK constraint spares the scan for its bounds
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the shadow, ACCESS EXCLUSIVE on the partition
-- transaction: one
-- rerun: safe because the caller checks first for the attached partition
ALTER TABLE {shadow} ATTACH PARTITION {partition} FOR VALUES FROM ({lower}) TO ({upper});
ALTER TABLE {partition} DROP CONSTRAINT partition_playbook_bounds
