-- purpose: Read the load of the server without our own sessions: largest replica lag, connections, running sessions, WAL that fills the disk
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
-- A stalled replica reports no lag; the time since its last reply counts instead. The present WAL position is not asked: some services refuse it.
SELECT (SELECT extract(epoch FROM max(greatest(
                   write_lag,
                   replay_lag,
                   CASE WHEN replay_lsn < sent_lsn THEN clock_timestamp() - reply_time END)))::float8
          FROM pg_stat_replication) AS replica_lag,
       (SELECT sum(numbackends)::int FROM pg_stat_database)
       - (SELECT count(*)::int FROM pg_stat_activity WHERE starts_with(application_name, 'partition_playbook')) AS connections,
       current_setting('max_connections')::int AS max_connections,
       (SELECT count(*) FROM pg_stat_activity
         WHERE state = 'active'
           AND backend_type = 'client backend'
           AND NOT starts_with(application_name, 'partition_playbook')) AS running,
       (SELECT min(safe_wal_size) FROM pg_replication_slots WHERE wal_status IN ('reserved', 'extended', 'unreserved')) AS safe_wal_bytes,
       (SELECT last_failed_wal FROM pg_stat_archiver
         WHERE current_setting('archive_mode') <> 'off'
           AND last_failed_time > coalesce(last_archived_time, '-infinity')) AS unarchived_wal,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all
