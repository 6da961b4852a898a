-- purpose: Attach an empty partition to the table that gathers what a split makes
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on both, which nobody reads yet
-- transaction: one
-- rerun: safe because it commits only with the tables themselves
ALTER TABLE {staging} ATTACH PARTITION {partition} {bound}
