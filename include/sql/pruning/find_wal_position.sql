-- purpose: Read the WAL insert position as a number of bytes
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
