-- purpose: Read at which age of its oldest transaction id the server freezes a table by force, and when it does so at any cost
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('autovacuum_freeze_max_age')::bigint AS forced,
       current_setting('vacuum_failsafe_age')::bigint AS failsafe
