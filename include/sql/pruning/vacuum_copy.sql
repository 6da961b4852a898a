-- purpose: Vacuum the copy, as after a large DELETE
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the copy
-- transaction: none
-- rerun: safe because a second vacuum finds nothing to do
VACUUM {copy}
