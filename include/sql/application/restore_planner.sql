-- purpose: Let the planner choose freely again, after a reconcile kept it on the key's index
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config(name, reset_val, true)
  FROM pg_settings
 WHERE name IN ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit')
