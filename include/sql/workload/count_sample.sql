-- purpose: Count the rows of the sample
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FROM pg_temp.partition_playbook_sample
