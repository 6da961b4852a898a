-- purpose: Let one session at a time create the ledger
-- params: none
-- returns: row
-- lock: advisory, until the transaction ends
-- transaction: one
-- rerun: safe because it changes nothing
SELECT pg_advisory_xact_lock(hashtextextended('partition_playbook.ledger', 0))
