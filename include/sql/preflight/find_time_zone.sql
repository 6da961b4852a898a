-- purpose: Tell whether the server knows a time zone
-- params: zone
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = %(zone)s) AS known
