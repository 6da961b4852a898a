-- purpose: Let go of every session lock before the connection is used for something else
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because locks that are gone are gone
SELECT pg_advisory_unlock_all()
