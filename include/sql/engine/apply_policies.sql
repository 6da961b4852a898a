-- purpose: Let row security hide rows in this transaction, as in the application's sessions
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the setting ends with the transaction
SELECT set_config('row_security', 'on', true)
