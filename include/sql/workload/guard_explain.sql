-- purpose: Plan like the application until the end of the transaction: its search_path, row security, and a generic plan
-- params: search_path
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config('search_path', %(search_path)s, true),
       set_config('standard_conforming_strings', 'on', true),
       set_config('row_security', 'on', true),
       set_config('plan_cache_mode', 'force_generic_plan', true)
