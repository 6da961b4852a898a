-- purpose: List the places of some rows of a table
-- params: most
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT ctid::text AS place FROM {source} LIMIT %(most)s
