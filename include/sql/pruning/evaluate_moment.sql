-- purpose: Evaluate an end of the range that a query of the spec covers
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT {moment} AS moment
