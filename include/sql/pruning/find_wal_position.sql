-- purpose: Read how many bytes of WAL the server has ever written
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
