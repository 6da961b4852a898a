-- purpose: Read which database of which version of the server an archive comes from
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_database() AS database, current_setting('server_version') AS server_version, clock_timestamp()::text AS archived_at
