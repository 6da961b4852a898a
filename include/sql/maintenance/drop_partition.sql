-- purpose: Drop a table that retention has detached; whatever depends on it refuses that
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table and, for an instant, on those it refers to
-- transaction: one
-- rerun: safe because the caller looks in the ledger and the catalog whether it is the one that was detached
DROP TABLE {partition}
