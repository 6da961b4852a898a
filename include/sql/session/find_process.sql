-- purpose: Read the id of the server process that serves this transaction
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_catalog.pg_backend_pid()
