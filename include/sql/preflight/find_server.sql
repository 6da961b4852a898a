-- purpose: Read who answers: version, database, role, and whether it is a standby
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('server_version') AS version,
       current_database() AS database,
       current_user::text AS role,
       pg_is_in_recovery() AS standby
