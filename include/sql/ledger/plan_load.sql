-- purpose: Record a partition that is to be loaded
-- params: run_id, partition_name, lower_bound, upper_bound, expected_rows
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because a load that is known already is kept as it is
INSERT INTO partition_playbook.loads (run_id, partition_name, lower_bound, upper_bound, expected_rows)
VALUES (%(run_id)s, %(partition_name)s, %(lower_bound)s, %(upper_bound)s, %(expected_rows)s)
    ON CONFLICT (run_id, partition_name) DO NOTHING
