-- purpose: Fill the copy with the first rows of the partition
-- params: rows
-- returns: none
-- lock: ACCESS SHARE on the partition, ROW EXCLUSIVE on the copy
-- transaction: one
-- rerun: safe because the caller creates the copy anew
INSERT INTO {copy} ({columns}) SELECT {columns} FROM {partition} LIMIT %(rows)s
