-- purpose: Delete the rows of the copy, as retention on an unpartitioned table, and read time and WAL
-- params: none
-- returns: value
-- lock: ROW EXCLUSIVE on the copy
-- transaction: one
-- rerun: safe because only the caller uses the copy
EXPLAIN (ANALYZE, WAL, BUFFERS, FORMAT JSON) DELETE FROM {copy}
