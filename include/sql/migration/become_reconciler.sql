-- purpose: Be the reconciler until the transaction ends: its writes are not captured, and its plans stay on the key's index, as the change log has no statistics that could be trusted
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config('partition_playbook.reconciles', 'on', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('jit', 'off', true)
