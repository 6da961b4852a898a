-- purpose: Try the capture with a DELETE of no row, rolled back
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because it changes no row
DELETE FROM {table} WHERE false
