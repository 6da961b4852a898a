-- purpose: Take the verdict and the end from a run that begins again
-- params: run_id
-- returns: none
-- lock: ROW EXCLUSIVE on runs
-- transaction: one
-- rerun: safe because it sets the same values; without such a run it changes nothing
UPDATE partition_playbook.runs SET verdict = NULL, ended_at = NULL WHERE run_id = %(run_id)s
