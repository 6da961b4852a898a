-- purpose: Count the distinct values of a column for each planned partition
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT d.bucket, count(d.value) AS values
  FROM (SELECT DISTINCT width_bucket(t.{partition_by}, {bounds}) AS bucket, t.{column} AS value FROM {table} AS t) AS d
 GROUP BY 1
