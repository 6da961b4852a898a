-- purpose: Complete an interrupted detach
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ACCESS EXCLUSIVE on the partition, SHARE ROW EXCLUSIVE on the referenced tables
-- transaction: one
-- rerun: safe because the caller checks that the detach is pending
ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE
