-- purpose: Find the ids of the oldest waiting changes from a floor on, and the last id that was ever given
-- params: log, floor, batch
-- returns: row
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(min(change), 0) AS first,
       coalesce(max(change), 0) AS last,
       count(*) AS count,
       coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(log)s, '_partition_playbook_change')), 0) AS newest
  FROM (SELECT _partition_playbook_change AS change
          FROM {log}
         WHERE _partition_playbook_change >= %(floor)s
         ORDER BY _partition_playbook_change
         LIMIT %(batch)s) AS oldest
