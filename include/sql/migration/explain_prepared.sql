-- purpose: Read the generic plan of a prepared statement; partitions that its parameters can prune are gone from it
-- params: none
-- returns: value
-- lock: what the statement would take on its tables, until the transaction is rolled back
-- transaction: one
-- rerun: safe because nothing is executed
EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {prepared} {arguments}
