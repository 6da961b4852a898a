-- purpose: Attach the new default partition; its check proves without a scan that no row belongs elsewhere
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, SHARE ROW EXCLUSIVE on the tables it refers to; the caller holds more
-- transaction: one
-- rerun: safe because it commits only with the whole split
ALTER TABLE {parent} ATTACH PARTITION {partition} DEFAULT;
ALTER TABLE {partition} DROP CONSTRAINT partition_playbook_bounds
