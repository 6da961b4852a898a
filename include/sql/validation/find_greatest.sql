-- purpose: Find the value of a numbered column that lies furthest in the direction in which its sequence counts
-- params: increment
-- returns: value
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT CASE WHEN %(increment)s > 0 THEN (SELECT max({column}) FROM {table}) ELSE (SELECT min({column}) FROM {table}) END
