-- purpose: Freeze loaded partitions now, and analyze them, to spare autovacuum the work at a busy time
-- params: none
-- returns: none
-- lock: SHARE UPDATE EXCLUSIVE on one partition after another
-- transaction: none
-- rerun: safe because a second VACUUM finds nothing to do
VACUUM ({options}) {partitions}
