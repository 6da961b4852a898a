-- purpose: Wait for each lock of this transaction only a fifth of deadlock_timeout, so that a deadlock is over before the server picks the application's session
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the setting ends with the transaction
SELECT set_config('lock_timeout', greatest(setting::bigint / 5, 1) || 'ms', true) FROM pg_settings WHERE name = 'deadlock_timeout'
