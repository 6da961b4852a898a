-- purpose: Count the rows of the default partition by the interval that they belong to
-- params: interval
-- returns: rows
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because it only reads
SELECT date_trunc(%(interval)s, {partition_by}) AS lower, count(*) AS rows
  FROM {default}
 WHERE {partition_by} >= '0002-01-01' AND {partition_by} < '9999-01-01'
 GROUP BY 1
 ORDER BY 1
