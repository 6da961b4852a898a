-- purpose: Drop a table, or a materialized view, that is not live; whatever depends on it refuses that
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table and on those it refers to
-- transaction: one
-- rerun: safe because what is gone already is passed over
DROP {kind} IF EXISTS {table}
