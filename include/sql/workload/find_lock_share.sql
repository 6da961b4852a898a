-- purpose: Read the number of locks that the lock table holds for each session
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('max_locks_per_transaction')::int
