-- purpose: Set the memory for sorts and index builds, and the scan for the heap's order
-- params: sort, index, indexscan, parallel
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('work_mem', %(sort)s, true),
       set_config('maintenance_work_mem', %(index)s, true),
       set_config('enable_indexscan', %(indexscan)s, true),
       set_config('max_parallel_maintenance_workers', %(parallel)s, true)
