-- purpose: Attach the new default partition; its CHECK constraint proves without a scan that no row belongs elsewhere
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, SHARE ROW EXCLUSIVE on the referenced tables; the caller holds stronger locks
-- transaction: one
-- rerun: safe because it commits only with the whole split
ALTER TABLE {parent} ATTACH PARTITION {partition} DEFAULT;
ALTER TABLE {partition} DROP CONSTRAINT partition_playbook_bounds
