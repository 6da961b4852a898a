-- purpose: Count the values that occur more than once in some columns of a table
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FROM (SELECT FROM {table} GROUP BY {columns} HAVING count(*) > 1) AS twice
