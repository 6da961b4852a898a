-- purpose: Count the rows of the default partition by interval
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because it only reads
SELECT min({partition_by}) AS oldest, max({partition_by}) AS newest, count(*) AS rows
  FROM {default}
 WHERE {readable}
 GROUP BY {grouped}
 ORDER BY 1
