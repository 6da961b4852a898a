-- purpose: Lock every partition against writers
-- params: none
-- returns: none
-- lock: SHARE ROW EXCLUSIVE on the partitions
-- transaction: one
-- rerun: safe because a transaction can take it twice
LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE
