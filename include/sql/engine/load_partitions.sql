-- purpose: Copy the rows of a load from the source into its partitions, in the order of the partition column
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the source, ROW EXCLUSIVE on the parent of the load and its partitions
-- transaction: one
-- rerun: safe because the same session empties the partitions first
INSERT INTO {parent} ({columns})
SELECT {columns} FROM {source} WHERE {within} ORDER BY {partition_by}
