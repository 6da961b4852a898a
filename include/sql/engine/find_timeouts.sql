-- purpose: Find the time after which the server looks for a deadlock, in milliseconds, and the statement timeout of this session
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout') AS deadlock, current_setting('statement_timeout') AS statement
