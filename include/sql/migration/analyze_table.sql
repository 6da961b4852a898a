-- purpose: Analyze a table; autovacuum never does it for a partitioned one
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table
-- transaction: none
-- rerun: safe because it only renews statistics
ANALYZE {table}
