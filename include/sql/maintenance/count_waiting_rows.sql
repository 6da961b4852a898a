-- purpose: Count the rows of a range in the default partition, up to a limit
-- params: lower, upper, limit
-- returns: value
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*)
  FROM (SELECT FROM {default} WHERE {partition_by} >= %(lower)s AND {partition_by} < %(upper)s LIMIT %(limit)s) AS waiting
