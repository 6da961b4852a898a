-- purpose: Freeze and analyze a loaded partition now, to spare autovacuum the work at a busy time
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on the partition
-- transaction: none
-- rerun: safe because a second VACUUM finds nothing to do
VACUUM (FREEZE, ANALYZE) {partition}
