-- purpose: Count the rows of the default partition by interval
-- params: interval
-- returns: rows
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because it only reads
SELECT min({partition_by}) AS oldest, max({partition_by}) AS newest, count(*) AS rows
  FROM {default}
 WHERE {partition_by} >= '0002-01-01' AND {partition_by} < '9999-01-01'
 GROUP BY date_trunc(%(interval)s, {partition_by}::timestamp)
 ORDER BY 1
