-- purpose: Read the generic plan of a prepared statement; it lacks the partitions pruned by the NULL parameters
-- params: none
-- returns: value
-- lock: those of the statement on its tables, until the transaction is rolled back
-- transaction: one
-- rerun: safe because nothing is executed
EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {prepared} {arguments}
