-- purpose: Export the snapshot of this transaction to other sessions, until it ends
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because a transaction can export its snapshot twice
SELECT pg_export_snapshot()
