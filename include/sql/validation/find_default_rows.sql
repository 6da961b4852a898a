-- purpose: Count the rows of the default partition, with the least and the greatest value of the partition column
-- params: none
-- returns: row
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS rows, min({ordered})::text AS oldest, max({ordered})::text AS newest FROM {table} WHERE {counted}
