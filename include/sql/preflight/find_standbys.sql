-- purpose: Count the standbys, and read whether commits wait for them
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS replicas,
       count(*) FILTER (WHERE s.slot_type IS DISTINCT FROM 'logical') AS standbys,
       current_setting('synchronous_standby_names') AS synchronous,
       current_setting('synchronous_commit') AS commit
  FROM pg_stat_replication r
  LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
