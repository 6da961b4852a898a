-- purpose: Read the greatest partition value of a partition's rows that is not in the future: an index on it answers at once
-- params: clock
-- returns: value
-- lock: ACCESS SHARE on the partition
-- transaction: one
-- rerun: safe because it only reads
SELECT max(t.{partition_by}) FROM {partition} AS t WHERE t.{partition_by} <= %(clock)s AND isfinite(t.{partition_by})
