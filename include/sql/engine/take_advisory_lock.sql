-- purpose: Wait for an advisory lock, by name
-- params: name
-- returns: row
-- lock: advisory, until the session ends
-- transaction: one
-- rerun: safe because a session can take it twice
SELECT pg_advisory_lock(hashtextextended(%(name)s, 0))
