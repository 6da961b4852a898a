-- purpose: Give the session's transaction the memory that sorts and index builds need
-- params: memory, indexscan
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config('work_mem', %(memory)s, true),
       set_config('maintenance_work_mem', %(memory)s, true),
       set_config('enable_indexscan', %(indexscan)s, true)
