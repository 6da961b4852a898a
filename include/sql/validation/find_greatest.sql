-- purpose: Find the value of a column furthest in the direction of its sequence
-- params: increment
-- returns: value
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT CASE WHEN %(increment)s > 0 THEN (SELECT max({column}) FROM {table}) ELSE (SELECT min({column}) FROM {table}) END
