-- purpose: Set the statement timeout of the transaction
-- params: statement_timeout
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because the setting ends with the transaction
SELECT set_config('statement_timeout', %(statement_timeout)s, true)
