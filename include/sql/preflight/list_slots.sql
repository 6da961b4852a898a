-- purpose: List the replication slots with the WAL position that each keeps
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT slot_name::text AS name, active, wal_status, safe_wal_size, restart_lsn::text AS restart_lsn
  FROM pg_replication_slots
 WHERE restart_lsn IS NOT NULL
 ORDER BY 1
