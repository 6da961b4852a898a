-- purpose: Copy the rows of one partition from the source, in the order of the partition column
-- params: lower, upper
-- returns: none
-- lock: ACCESS SHARE on the source, ROW EXCLUSIVE on the partition
-- transaction: one
-- rerun: safe because the same session empties the partition first
INSERT INTO {partition} ({columns})
SELECT {columns} FROM {source} WHERE {partition_by} >= %(lower)s AND {partition_by} < %(upper)s ORDER BY {partition_by}
