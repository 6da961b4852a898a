-- purpose: Let other sessions see what this transaction sees, for as long as it lasts
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because a transaction may export its snapshot twice
SELECT pg_export_snapshot()
