-- purpose: Read the default partition to mark its open CHECK constraint as valid; reads and writes continue
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the default partition
-- transaction: one
-- rerun: safe because a valid constraint stays valid
ALTER TABLE {default} VALIDATE CONSTRAINT partition_playbook_excluded
