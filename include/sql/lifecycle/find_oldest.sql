-- purpose: Read the least partition value in a partition, fast with an index on the column
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the partition
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT {partition_by} FROM {partition} WHERE {finite} ORDER BY {partition_by} LIMIT 1)
