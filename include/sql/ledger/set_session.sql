-- purpose: Give the session its name, its limits, its zone, the styles that bounds are read in, an end with its client, a search path that nobody else can write to, and an error where a policy would hide rows
-- params: application_name, lock_timeout, statement_timeout, idle_in_transaction, timezone, search_path
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only sets session variables
SELECT set_config('application_name', %(application_name)s, false),
       set_config('lock_timeout', %(lock_timeout)s, false),
       set_config('statement_timeout', %(statement_timeout)s, false),
       set_config('idle_in_transaction_session_timeout', %(idle_in_transaction)s, false),
       set_config('TimeZone', %(timezone)s, false),
       set_config('search_path', %(search_path)s, false),
       set_config('DateStyle', 'ISO, MDY', false),
       set_config('IntervalStyle', 'postgres', false),
       set_config('row_security', 'off', false),
       CASE WHEN version() LIKE '%%linux%%' THEN set_config('client_connection_check_interval', '10s', false) END
