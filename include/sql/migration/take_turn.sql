-- purpose: Wait until no other session does this with this table
-- params: turn
-- returns: row
-- lock: advisory, until the session ends
-- transaction: one
-- rerun: safe because a session may hold it twice
SELECT pg_advisory_lock(hashtextextended(%(turn)s, 0))
