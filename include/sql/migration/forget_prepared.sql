-- purpose: Forget the statements that were prepared
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because what is forgotten can be forgotten again
DEALLOCATE ALL
