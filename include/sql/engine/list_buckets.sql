-- purpose: List the partitions that the waiting changes reach, by number
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT {bucket} AS bucket FROM {log} AS t ORDER BY 1
