-- purpose: Count the rows of each month
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT date_trunc('month', {moment}) AS month, count(*) AS rows FROM {table} GROUP BY 1 ORDER BY 1
