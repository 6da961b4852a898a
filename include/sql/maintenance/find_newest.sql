-- purpose: Read the greatest partition value in a partition up to the clock, fast with an index on the column
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the partition
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT {partition_by} FROM {partition} AS t WHERE {up_to_clock} AND {readable} ORDER BY {partition_by} DESC LIMIT 1)
