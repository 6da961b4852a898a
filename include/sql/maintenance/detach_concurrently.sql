-- purpose: Take a partition off a table while everybody goes on reading and writing
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table, ACCESS EXCLUSIVE on the partition once nobody uses it through the table, SHARE ROW EXCLUSIVE on the tables it refers to
-- transaction: none
-- rerun: safe because an interrupted detach is finalized instead
ALTER TABLE {parent} DETACH PARTITION {partition} CONCURRENTLY
