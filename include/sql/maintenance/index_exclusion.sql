-- purpose: Index the rows of the new ranges in the default partition, usually none; reads and writes continue
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the default partition
-- transaction: none
-- rerun: safe because the caller drops an earlier one first
CREATE INDEX CONCURRENTLY {bare_index} ON {default} ({column}) WHERE {inside}
