-- purpose: Keep the planner from sorting the rows of a slice: it knows not how few groups they have
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('enable_sort', 'off', true),
       set_config('enable_hashagg', 'on', true)
