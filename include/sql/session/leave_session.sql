-- purpose: Release all advisory locks of the session before its connection is reused
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because released locks are skipped
SELECT pg_advisory_unlock_all()
