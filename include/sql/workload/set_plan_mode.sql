-- purpose: Choose generic or custom plans until the end of the transaction
-- params: mode
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because the setting ends with the transaction
SELECT pg_catalog.set_config('plan_cache_mode', %(mode)s, true)
