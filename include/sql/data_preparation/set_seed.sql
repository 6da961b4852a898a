-- purpose: Make the session's random numbers, and the order in which they are drawn, the same every time
-- params: seed
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the same seed starts the same numbers
SELECT setseed(%(seed)s),
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('jit', 'off', true)
