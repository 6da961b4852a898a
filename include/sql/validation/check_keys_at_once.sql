-- purpose: Check deferrable keys at the end of each statement of this transaction
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because it ends with the transaction
SET CONSTRAINTS ALL IMMEDIATE
