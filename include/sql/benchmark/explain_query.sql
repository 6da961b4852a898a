-- purpose: Run a query of the spec and read its plan, times and buffers
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the tables that the query reads
-- transaction: one
-- rerun: safe because the transaction is read-only
EXPLAIN (ANALYZE, BUFFERS, VERBOSE, FORMAT JSON) {query}
