-- purpose: Generate rows: a partition value for each, random parent rows, and the expressions of the spec
-- params: first, last
-- returns: none
-- lock: ROW EXCLUSIVE on the table, ROW SHARE on the referenced tables
-- transaction: one
-- rerun: safe because the ledger records the finished rows of the slice in the same transaction
WITH moments AS MATERIALIZED (
    SELECT n, CAST({moment} AS {type}) AS moment {picks}
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
)
INSERT INTO {table} ({columns})
SELECT {values} FROM moments AS m
