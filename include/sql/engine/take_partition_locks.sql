-- purpose: Take the advisory locks of the loads of several partitions, and list those that another session holds
-- params: locks
-- returns: rows
-- lock: advisory, until the session ends
-- transaction: one
-- rerun: safe because a session can take them twice
SELECT each.name FROM unnest(%(locks)s::text[]) AS each (name) WHERE NOT pg_try_advisory_lock(hashtextextended(each.name, 0))
