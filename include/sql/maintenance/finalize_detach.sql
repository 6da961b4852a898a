-- purpose: Complete a detach that was interrupted
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ACCESS EXCLUSIVE on the partition, SHARE ROW EXCLUSIVE on the tables it refers to
-- transaction: one
-- rerun: safe because the caller looks whether it is pending first
ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE
