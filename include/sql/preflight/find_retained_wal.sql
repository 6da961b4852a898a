-- purpose: Read the bytes of WAL between a position and the present; some services refuse this function
-- params: restart_lsn
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %(restart_lsn)s::pg_lsn)::bigint
