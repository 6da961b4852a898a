-- purpose: Check deferrable constraints after each statement of this transaction
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because the setting ends with the transaction
SET CONSTRAINTS ALL IMMEDIATE
