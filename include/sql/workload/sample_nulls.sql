-- purpose: Add a row of NULLs to the sample if it is empty
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because the caller always rolls it back
INSERT INTO pg_temp.partition_playbook_sample ({column})
SELECT NULL WHERE NOT EXISTS (SELECT FROM pg_temp.partition_playbook_sample)
