-- purpose: Drop a table detached by retention; PostgreSQL refuses it if another object depends on the table
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the table and, for an instant, on the referenced tables
-- transaction: one
-- rerun: safe because the caller checks in ledger and catalog that it is the detached table
DROP TABLE {partition}
