-- purpose: Do once what autovacuum would do after so many rows, so that the baseline is that of a table at rest
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the table
-- transaction: none
-- rerun: safe because a vacuum of what is vacuumed does nothing
VACUUM (ANALYZE) {table}
