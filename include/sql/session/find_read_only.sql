-- purpose: Read whether new transactions are read-only, and the origin of that setting
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT s.setting OPERATOR(pg_catalog.=) 'on' AS read_only,
       s.source,
       session_user::text AS role,
       pg_catalog.current_database() AS database,
       pg_catalog.pg_is_in_recovery() AS standby
  FROM pg_catalog.pg_settings s
 WHERE s.name OPERATOR(pg_catalog.=) 'default_transaction_read_only'
