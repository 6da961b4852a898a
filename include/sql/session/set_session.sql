-- purpose: Set name, timeouts, keepalives, encoding, the formats of values, a trusted search path, and an error for rows hidden by a policy, whatever role and database set
-- params: application_name, lock_timeout, statement_timeout, idle_in_transaction, timezone, search_path
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only sets session variables; its own names are schema-qualified
SELECT pg_catalog.set_config('application_name', %(application_name)s, false),
       pg_catalog.set_config('lock_timeout', %(lock_timeout)s, false),
       pg_catalog.set_config('statement_timeout', %(statement_timeout)s, false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', %(idle_in_transaction)s, false),
       -- A session that holds an advisory lock may idle for hours while others work. The second setting is new in 17.
       pg_catalog.set_config('idle_session_timeout', '0', false),
       CASE WHEN pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL THEN pg_catalog.set_config('transaction_timeout', '0', false) END,
       pg_catalog.set_config('TimeZone', %(timezone)s, false),
       pg_catalog.set_config('search_path', %(search_path)s, false),
       pg_catalog.set_config('client_encoding', 'UTF8', false),
       pg_catalog.set_config('DateStyle', 'ISO, MDY', false),
       pg_catalog.set_config('IntervalStyle', 'postgres', false),
       pg_catalog.set_config('extra_float_digits', '3', false),
       pg_catalog.set_config('bytea_output', 'hex', false),
       pg_catalog.set_config('lc_monetary', 'C', false),
       pg_catalog.set_config('xmlbinary', 'base64', false),
       pg_catalog.set_config('xmloption', 'content', false),
       pg_catalog.set_config('array_nulls', 'on', false),
       pg_catalog.set_config('standard_conforming_strings', 'on', false),
       pg_catalog.set_config('transform_null_equals', 'off', false),
       pg_catalog.set_config('quote_all_identifiers', 'off', false),
       pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
       pg_catalog.set_config('default_transaction_deferrable', 'off', false),
       -- Only a superuser may set it, even to what it is.
       CASE WHEN pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.<>) 'origin' THEN pg_catalog.set_config('session_replication_role', 'origin', false) END,
       pg_catalog.set_config('row_security', 'off', false),
       -- Statements on the catalog have large estimates and few rows: compiling one takes longer than the lock may last.
       pg_catalog.set_config('jit', 'off', false),
       -- The server gives up a client that vanished after 10 + 3 * 5 s, or 30 s after an unanswered packet, and its locks with it.
       pg_catalog.set_config('tcp_keepalives_idle', '10', false),
       pg_catalog.set_config('tcp_keepalives_interval', '5', false),
       pg_catalog.set_config('tcp_keepalives_count', '3', false),
       CASE WHEN pg_catalog.version() OPERATOR(pg_catalog.~~) '%%linux%%' THEN pg_catalog.set_config('tcp_user_timeout', '30s', false) END,
       CASE WHEN pg_catalog.version() OPERATOR(pg_catalog.~~) '%%linux%%' THEN pg_catalog.set_config('client_connection_check_interval', '10s', false) END
