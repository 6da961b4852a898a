-- purpose: Generate rows in one set: a moment for each, parents picked by chance, and the values that the spec gives
-- params: first, last
-- returns: none
-- lock: ROW EXCLUSIVE on the table, ROW SHARE on those it refers to
-- transaction: one
-- rerun: safe because the ledger notes in the same transaction how many rows of the slice are done
WITH moments AS MATERIALIZED (
    SELECT n, CAST({moment} AS {type}) AS moment {picks}
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
)
INSERT INTO {table} ({columns})
SELECT {values} FROM moments AS m
