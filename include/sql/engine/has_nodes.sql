-- purpose: Check if a replication extension has a node in this database; each fills every table
-- params: none
-- returns: value
-- lock: ACCESS SHARE on the extension's catalog
-- transaction: one
-- rerun: safe because it only reads
SELECT EXISTS (SELECT FROM {nodes})
