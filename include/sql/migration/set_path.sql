-- purpose: Set where the transaction looks for names that have no schema
-- params: path
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SELECT set_config('search_path', %(path)s, true)
