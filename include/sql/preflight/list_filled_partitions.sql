-- purpose: List the planned partitions with rows, by number from 1, in one scan of the table
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because it only reads
SELECT width_bucket({partition_by}, {edges}) AS number
  FROM {source}
 WHERE {partition_by} >= ({edges})[1] AND {partition_by} < {beyond}
 GROUP BY 1
 ORDER BY 1
