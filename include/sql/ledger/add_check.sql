-- purpose: Record a check
-- params: run_id, section, name, outcome, severity, expected, actual, remedy, evidence
-- returns: none
-- lock: ROW EXCLUSIVE on checks
-- transaction: one
-- rerun: safe because a repeated check is added again and the last one counts
INSERT INTO partition_playbook.checks (run_id, section, name, outcome, severity, expected, actual, remedy, evidence)
VALUES (%(run_id)s, %(section)s, %(name)s, %(outcome)s, %(severity)s, %(expected)s, %(actual)s, %(remedy)s, %(evidence)s)
