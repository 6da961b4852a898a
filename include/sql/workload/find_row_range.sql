-- purpose: Read the oldest row of one partition and the newest row up to now of another one
-- params: none
-- returns: row
-- lock: ACCESS SHARE on both partitions
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT min(o.{partition_by}) FROM {oldest} AS o WHERE isfinite(o.{partition_by})) AS oldest,
       (SELECT max(n.{partition_by}) FROM {newest} AS n WHERE n.{partition_by} <= now() AND isfinite(n.{partition_by})) AS newest
