-- purpose: Wait until no other session generates this slice
-- params: slice
-- returns: row
-- lock: advisory, until the transaction ends
-- transaction: one
-- rerun: safe because a transaction may take the lock twice
SELECT pg_advisory_xact_lock(hashtextextended('partition_playbook.slice ' || %(slice)s, 0))
