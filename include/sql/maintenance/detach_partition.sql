-- purpose: Detach a partition of a table with a default partition, where PostgreSQL refuses CONCURRENTLY
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table, the partition and the default partition, SHARE ROW EXCLUSIVE on the referenced tables
-- transaction: one
-- rerun: safe because the caller checks under the table's lock that it is still attached
ALTER TABLE {parent} DETACH PARTITION {partition}
