-- purpose: Read the counters of the database that tell errors of its clients, and the server's clock
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT clock_timestamp() AS at, deadlocks, xact_commit AS commits, xact_rollback AS rollbacks, stats_reset::text AS reset
  FROM pg_stat_database
 WHERE datname = current_database()
