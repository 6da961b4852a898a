-- purpose: List the logical slots of this database whose output plugin names the partition that holds a row
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT s.slot_name::text AS slot, s.plugin::text AS plugin,
       coalesce((SELECT concat_ws(' of ', nullif(a.application_name, ''), a.usename) FROM pg_stat_activity a WHERE a.pid = s.active_pid), '') AS consumer
  FROM pg_replication_slots s
 WHERE s.database = current_database() AND s.slot_type = 'logical' AND s.plugin <> 'pgoutput'
 ORDER BY 1
