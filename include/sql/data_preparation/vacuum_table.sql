-- purpose: Vacuum and analyze a table after the INSERTs, as autovacuum would, before the baseline is measured
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table
-- transaction: none
-- rerun: safe because a second vacuum finds nothing to do
VACUUM (ANALYZE) {table}
