-- purpose: Exclude this transaction's writes from capture, and plan by the key's index, as the change log has no reliable statistics
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('partition_playbook.reconciles', 'on', true),
       set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('jit', 'off', true)
