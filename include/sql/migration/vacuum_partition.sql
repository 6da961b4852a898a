-- purpose: Freeze and analyze a loaded partition once, so that neither happens in the middle of the day
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the partition
-- transaction: none
-- rerun: safe because a vacuum of what is vacuumed does nothing
VACUUM (FREEZE, ANALYZE) {partition}
