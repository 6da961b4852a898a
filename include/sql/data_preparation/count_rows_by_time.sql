-- purpose: Count the rows of each month, or of each day
-- params: unit
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT date_trunc(%(unit)s, {moment}) AS start, count(*) AS rows FROM {table} GROUP BY 1 ORDER BY 1
