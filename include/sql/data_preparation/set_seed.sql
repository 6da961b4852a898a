-- purpose: Seed random() of the session, and fix the order of its calls by a serial plan without JIT
-- params: seed
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the same seed gives the same numbers
SELECT setseed(%(seed)s),
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('jit', 'off', true)
