-- purpose: Read the identifier that initdb gave to the server's data; a base backup keeps it
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT system_identifier FROM pg_control_system()
