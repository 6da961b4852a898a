-- purpose: Give the session its name, its limits, its zone, the styles that bounds are read in, an end with its client, a search path that nobody else can write to, and an error where a policy would hide rows
-- params: application_name, lock_timeout, statement_timeout, idle_in_transaction, timezone, search_path
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only sets session variables; until it has, every name says its schema
SELECT pg_catalog.set_config('application_name', %(application_name)s, false),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, false),
       pg_catalog.set_config('statement_timeout', %(statement_timeout)s, false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', %(idle_in_transaction)s, false),
       pg_catalog.set_config('TimeZone', %(timezone)s, false),
       pg_catalog.set_config('search_path', %(search_path)s, false),
       pg_catalog.set_config('DateStyle', 'ISO, MDY', false),
       pg_catalog.set_config('IntervalStyle', 'postgres', false),
       pg_catalog.set_config('row_security', 'off', false),
       CASE WHEN pg_catalog.version() OPERATOR(pg_catalog.~~) '%%linux%%' THEN pg_catalog.set_config('client_connection_check_interval', '10s', false) END
