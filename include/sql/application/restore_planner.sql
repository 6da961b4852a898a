-- purpose: Reset the planner settings that the reconcile changed to force index scans
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config(name, reset_val, true)
  FROM pg_settings
 WHERE name IN ('enable_seqscan', 'enable_sort', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'jit')
