-- purpose: Read the greatest partition value in a partition up to the clock, fast with an index on the column
-- params: clock
-- returns: value
-- lock: ACCESS SHARE on the partition
-- transaction: one
-- rerun: safe because it only reads
SELECT max(t.{partition_by}) FROM {partition} AS t WHERE t.{partition_by} <= %(clock)s AND isfinite(t.{partition_by})
