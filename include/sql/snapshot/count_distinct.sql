-- purpose: Count the different values of a column by partition-to-be
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT d.bucket, count(d.value) AS values
  FROM (SELECT DISTINCT width_bucket(t.{partition_by}, {bounds}) AS bucket, t.{column} AS value FROM {table} AS t) AS d
 GROUP BY 1
