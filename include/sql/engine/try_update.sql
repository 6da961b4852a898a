-- purpose: Try the capture with an UPDATE of no row, rolled back
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because it changes no row
UPDATE {table} SET {column} = {column} WHERE false
