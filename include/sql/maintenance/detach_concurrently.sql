-- purpose: Detach a partition without blocking reads and writes of the table
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ACCESS EXCLUSIVE on the partition once no transaction uses it through the table, SHARE ROW EXCLUSIVE on the referenced tables
-- transaction: none
-- rerun: safe because an interrupted detach is finalized instead
ALTER TABLE {parent} DETACH PARTITION {partition} CONCURRENTLY
