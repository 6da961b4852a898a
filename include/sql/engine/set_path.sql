-- purpose: Set the search path of the transaction
-- params: path
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because the setting ends with the transaction
SELECT set_config('search_path', %(path)s, true)
