-- purpose: Find the statement timeout of the session
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('statement_timeout')
