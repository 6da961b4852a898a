-- purpose: Write the rows of a table as CSV, all columns except generated ones
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
COPY {table} ({columns}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')
