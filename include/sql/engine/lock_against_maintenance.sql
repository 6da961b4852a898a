-- purpose: Block autovacuum and DDL on the partitions of a table; reads and writes continue
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because a transaction can take it twice
LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE
