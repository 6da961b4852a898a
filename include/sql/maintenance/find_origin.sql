-- purpose: Read the database, the server version and the time for the manifest of an archive
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_database() AS database, current_setting('server_version') AS server_version, clock_timestamp()::text AS archived_at
