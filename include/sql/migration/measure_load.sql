-- purpose: Read how busy the server is: its slowest replica, its connections, and the sessions at work that are not ours
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
-- A replica that hangs reports no lag: how long it has been silent counts.
SELECT (SELECT extract(epoch FROM max(greatest(
                   write_lag,
                   replay_lag,
                   CASE WHEN replay_lsn < pg_current_wal_lsn() THEN clock_timestamp() - reply_time END)))::float8
          FROM pg_stat_replication) AS replica_lag,
       (SELECT sum(numbackends)::int FROM pg_stat_database) AS connections,
       current_setting('max_connections')::int AS max_connections,
       (SELECT count(*) FROM pg_stat_activity
         WHERE state = 'active'
           AND backend_type = 'client backend'
           AND NOT starts_with(application_name, 'partition_playbook')) AS running,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all
