-- purpose: Deallocate the statement that was prepared to plan it
-- params: none
-- returns: none
-- lock: none
-- transaction: one
-- rerun: safe because the caller notes that it is gone
DEALLOCATE {prepared}
