-- purpose: Read the ages of the oldest transaction id at which the server forces a freeze, and at which the failsafe starts
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('autovacuum_freeze_max_age')::bigint AS forced,
       current_setting('vacuum_failsafe_age')::bigint AS failsafe
