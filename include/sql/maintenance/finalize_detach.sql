-- purpose: Complete a detach that was interrupted
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ACCESS EXCLUSIVE on the partition
-- transaction: one
-- rerun: safe because the caller looks whether it is pending first
ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE
