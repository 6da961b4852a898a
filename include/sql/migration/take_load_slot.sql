-- purpose: Take one of the slots that bound how many partitions are loaded at a time
-- params: slot
-- returns: value
-- lock: advisory, until the session ends
-- transaction: one
-- rerun: safe because a session may hold it twice
SELECT pg_try_advisory_lock(hashtextextended(%(slot)s, 0))
