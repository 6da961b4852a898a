-- purpose: Read how much WAL the server writes between two checkpoints, and what it does with its old files
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_size_bytes(current_setting('max_wal_size')) AS largest,
       pg_size_bytes(current_setting('min_wal_size')) AS kept,
       current_setting('wal_recycle') = 'on' AND current_setting('wal_init_zero') = 'on' AS recycled
