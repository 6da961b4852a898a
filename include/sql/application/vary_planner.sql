-- purpose: Make the planner prefer another plan, to see whether the answer of a probe depends on it
-- params: by_index, by_scan
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the savepoint
SELECT set_config('enable_indexscan', %(by_index)s, true),
       set_config('enable_indexonlyscan', %(by_index)s, true),
       set_config('enable_bitmapscan', %(by_index)s, true),
       set_config('enable_seqscan', %(by_scan)s, true),
       set_config('enable_hashagg', %(by_scan)s, true)
