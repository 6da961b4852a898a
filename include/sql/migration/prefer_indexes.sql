-- purpose: Keep the planner on the key's index: the change log has no statistics that could be trusted
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('jit', 'off', true)
