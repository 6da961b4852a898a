-- purpose: Renew the statistics of the partitioned table; autovacuum never analyzes it
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table
-- transaction: none
-- rerun: safe because it only renews statistics
ANALYZE {only} {parent}
