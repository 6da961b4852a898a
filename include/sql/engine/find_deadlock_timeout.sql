-- purpose: Find the time after which the server looks for a deadlock, in milliseconds
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'
