-- purpose: Let the planner use an index instead of a sequential scan until the transaction ends
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only sets a session variable
SELECT set_config('enable_seqscan', 'off', true)
