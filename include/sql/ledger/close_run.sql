-- purpose: Record the verdict of a run and when it ended
-- params: run_id, verdict
-- returns: none
-- lock: ROW EXCLUSIVE on runs
-- transaction: one
-- rerun: safe because it sets the run's last values
UPDATE partition_playbook.runs SET verdict = %(verdict)s, ended_at = clock_timestamp() WHERE run_id = %(run_id)s
