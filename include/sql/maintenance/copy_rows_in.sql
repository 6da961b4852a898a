-- purpose: Read an archive back into a temporary table
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the temporary table
-- transaction: one
-- rerun: safe because the table is dropped at the end of the transaction
COPY {reading} ({columns}) FROM STDIN (FORMAT csv, HEADER, ENCODING 'UTF8')
