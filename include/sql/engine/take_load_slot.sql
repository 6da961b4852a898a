-- purpose: Try to take one of the advisory locks that limit concurrent loads
-- params: slot
-- returns: value
-- lock: advisory, until the session ends
-- transaction: one
-- rerun: safe because a session can take it twice
SELECT pg_try_advisory_lock(hashtextextended(%(slot)s, 0))
