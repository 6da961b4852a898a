-- purpose: Record how far the migration of a run's table has come
-- params: run_id, phase
-- returns: none
-- lock: ROW EXCLUSIVE on runs
-- transaction: one
-- rerun: safe because it sets one value
UPDATE partition_playbook.runs SET phase = %(phase)s WHERE run_id = %(run_id)s
