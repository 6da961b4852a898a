-- purpose: List the partitions of the doubled rows that are in the live table, by number
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table beside
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT {bucket} AS bucket FROM {doubled} AS t WHERE t._partition_playbook_left_at IS NULL
