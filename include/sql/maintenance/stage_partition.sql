-- purpose: Attach an empty partition to the staging table of a split or a merge
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on both tables, not in use yet
-- transaction: one
-- rerun: safe because it commits only with the creation of both tables
ALTER TABLE {staging} ATTACH PARTITION {partition} {bound}
