-- purpose: Record a planned load
-- params: run_id, partition_name, lower_bound, upper_bound, expected_rows
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because its transaction also creates the partition, empty
INSERT INTO partition_playbook.loads (run_id, partition_name, lower_bound, upper_bound, expected_rows)
VALUES (%(run_id)s, %(partition_name)s, %(lower_bound)s, %(upper_bound)s, %(expected_rows)s)
    ON CONFLICT (run_id, partition_name) DO UPDATE
       SET state = 'pending', expected_rows = EXCLUDED.expected_rows, lower_bound = EXCLUDED.lower_bound,
           upper_bound = EXCLUDED.upper_bound, rows = NULL, bytes = NULL, started_at = NULL, ended_at = NULL
