-- purpose: Wait until no other session reconciles this table
-- params: table
-- returns: row
-- lock: advisory, until the session ends
-- transaction: one
-- rerun: safe because a session may hold it twice
SELECT pg_advisory_lock(hashtextextended('partition_playbook.reconcile ' || %(table)s, 0))
