-- purpose: Fill the copy with some of the partition's rows
-- params: rows
-- returns: none
-- lock: ACCESS SHARE on the partition, ROW EXCLUSIVE on the copy
-- transaction: one
-- rerun: safe because the copy is made anew
INSERT INTO {copy} ({columns}) SELECT {columns} FROM {partition} LIMIT %(rows)s
