-- purpose: Vacuum the copy, as a table must be after a large DELETE
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the copy
-- transaction: none
-- rerun: safe because a vacuum of what is vacuumed does nothing
VACUUM {copy}
