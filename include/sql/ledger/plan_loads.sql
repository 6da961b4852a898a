-- purpose: Record planned loads
-- params: run_id, partitions, lower_bounds, upper_bounds, expected_rows
-- returns: none
-- lock: ROW EXCLUSIVE on loads
-- transaction: one
-- rerun: safe because its transaction also creates the partitions, empty
INSERT INTO partition_playbook.loads (run_id, partition_name, lower_bound, upper_bound, expected_rows)
SELECT %(run_id)s, each.*
  FROM unnest(%(partitions)s::text[], %(lower_bounds)s::timestamptz[], %(upper_bounds)s::timestamptz[], %(expected_rows)s::bigint[]) AS each
    ON CONFLICT (run_id, partition_name) DO UPDATE
       SET state = 'pending', expected_rows = EXCLUDED.expected_rows, lower_bound = EXCLUDED.lower_bound,
           upper_bound = EXCLUDED.upper_bound, rows = NULL, bytes = NULL, started_at = NULL, ended_at = NULL
