-- purpose: Read the change log in the order of its primary key, whatever its stale statistics say
-- params: walks
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the settings end with the transaction
SELECT set_config('enable_seqscan', setting, true), set_config('enable_sort', setting, true), set_config('enable_bitmapscan', setting, true)
  FROM (SELECT CASE WHEN %(walks)s THEN 'off' ELSE 'on' END AS setting) AS wanted
