-- purpose: Attach the loaded default partition; its CHECK constraint spares the scan for rows of the other partitions
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the shadow, ACCESS EXCLUSIVE on the partition
-- transaction: one
-- rerun: safe because the caller checks first for the attached partition
ALTER TABLE {shadow} ATTACH PARTITION {partition} DEFAULT;
ALTER TABLE {partition} DROP CONSTRAINT partition_playbook_bounds
