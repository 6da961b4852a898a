-- purpose: Tell if the ledger has its table of reports; one of an earlier version has none until its next run
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT to_regclass('partition_playbook.reports') IS NOT NULL
