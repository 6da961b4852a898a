-- purpose: Set a setting until the end of the savepoint
-- params: name, value
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because the setting ends with the savepoint
SELECT set_config(%(name)s, %(value)s, true)
