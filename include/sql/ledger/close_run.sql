-- purpose: Record the verdict and the end of a run
-- params: run_id, verdict
-- returns: none
-- lock: ROW EXCLUSIVE on runs
-- transaction: one
-- rerun: safe because it replaces the run's last values
UPDATE partition_playbook.runs SET verdict = %(verdict)s, ended_at = clock_timestamp() WHERE run_id = %(run_id)s
