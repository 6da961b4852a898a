-- purpose: Plan a query of the spec without running it, to see whether the server accepts it and how long it plans
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the tables that the query reads
-- transaction: one
-- rerun: safe because it only plans
EXPLAIN (SUMMARY, FORMAT JSON) {query}
