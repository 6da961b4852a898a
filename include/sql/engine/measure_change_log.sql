-- purpose: Read the number of waiting changes, the oldest and the last change ever, the size of the change log, and the server's clock
-- params: log
-- returns: row
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS waiting,
       min(_partition_playbook_change) AS oldest,
       coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(log)s, '_partition_playbook_change')), 0) AS last_change,
       pg_relation_size(%(log)s::regclass) AS log_bytes,
       clock_timestamp() AS at
  FROM {log}
