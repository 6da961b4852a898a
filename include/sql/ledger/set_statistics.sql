-- purpose: Record the statistics of a partition at a stage
-- params: run_id, stage, partition_name, rows, oldest, newest, distinct_values, checksum
-- returns: none
-- lock: ROW EXCLUSIVE on statistics
-- transaction: one
-- rerun: safe because it replaces the stage's values
INSERT INTO partition_playbook.statistics (run_id, stage, partition_name, rows, oldest, newest, distinct_values, checksum)
VALUES (%(run_id)s, %(stage)s, %(partition_name)s, %(rows)s, %(oldest)s, %(newest)s, %(distinct_values)s, %(checksum)s)
    ON CONFLICT (run_id, stage, partition_name) DO UPDATE
       SET rows = EXCLUDED.rows, oldest = EXCLUDED.oldest, newest = EXCLUDED.newest,
           distinct_values = EXCLUDED.distinct_values, checksum = EXCLUDED.checksum, taken_at = EXCLUDED.taken_at
