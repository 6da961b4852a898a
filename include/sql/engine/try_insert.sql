-- purpose: Try the capture with an INSERT of no row, rolled back
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the table
-- transaction: one
-- rerun: safe because it changes no row
INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE SELECT {column} FROM ONLY {table} WHERE false
