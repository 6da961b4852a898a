-- purpose: Read version, database and role of the session, and whether the server is in recovery
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('server_version') AS version,
       current_database() AS database,
       current_user::text AS role,
       pg_is_in_recovery() AS standby
