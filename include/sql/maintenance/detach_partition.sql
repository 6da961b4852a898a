-- purpose: Take a partition off a table that has a default partition, which forbids to do so concurrently
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table, the partition and the default partition, SHARE ROW EXCLUSIVE on the tables it refers to
-- transaction: one
-- rerun: safe because the caller looks under the table's lock whether it is still attached
ALTER TABLE {parent} DETACH PARTITION {partition}
