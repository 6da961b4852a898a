-- purpose: Evaluate `since` or `until` of a query of the spec
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT {moment} AS moment
