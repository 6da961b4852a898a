-- purpose: Attach an empty partition to the parent of its load
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the parent, ACCESS EXCLUSIVE on the partition, not in use yet
-- transaction: one
-- rerun: safe because the caller detaches it first
ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM ({lower}) TO ({upper})
