-- purpose: List the logical slots of this database with the plugin pgoutput, with their consumers
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT s.slot_name::text AS slot,
       coalesce((SELECT concat_ws(' of ', nullif(a.application_name, ''), a.usename) FROM pg_stat_activity a WHERE a.pid = s.active_pid), '') AS consumer
  FROM pg_replication_slots s
 WHERE s.database = current_database() AND s.slot_type = 'logical' AND s.plugin = 'pgoutput'
 ORDER BY 1
