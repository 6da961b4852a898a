-- purpose: Delete the copy's rows as retention would on an unpartitioned table, and read time and WAL
-- params: none
-- returns: value
-- lock: ROW EXCLUSIVE on the copy
-- transaction: one
-- rerun: safe because nobody but the caller knows the copy
EXPLAIN (ANALYZE, WAL, BUFFERS, FORMAT JSON) DELETE FROM {copy}
