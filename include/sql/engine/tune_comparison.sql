-- purpose: Let the planner use the indexes for a slice or not, and keep it from sorting: it can't know how few groups there are
-- params: indexes
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('enable_indexscan', %(indexes)s, true),
       set_config('enable_bitmapscan', %(indexes)s, true),
       set_config('enable_sort', 'off', true),
       set_config('enable_hashagg', 'on', true)
