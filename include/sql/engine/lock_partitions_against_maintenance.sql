-- purpose: Block autovacuum on every partition; reads and writes continue
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the partitions
-- transaction: one
-- rerun: safe because a transaction can take it twice
LOCK TABLE {tables} IN SHARE UPDATE EXCLUSIVE MODE
