-- purpose: Record the plan hash of a run
-- params: run_id, plan_hash
-- returns: none
-- lock: ROW EXCLUSIVE on runs
-- transaction: one
-- rerun: safe because it sets one value
UPDATE partition_playbook.runs SET plan_hash = %(plan_hash)s WHERE run_id = %(run_id)s
