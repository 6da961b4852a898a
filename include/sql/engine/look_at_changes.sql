-- purpose: Count the waiting changes from a floor on, up to a bound; beyond the bound span their ids, and read the last id ever given
-- params: log, floor, bound
-- returns: row
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS counted,
       CASE WHEN count(*) > %(bound)s THEN (SELECT max(_partition_playbook_change) FROM {log}) - min(change) + 1 ELSE count(*) END AS spanned,
       coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(log)s, '_partition_playbook_change')), 0) AS last_change
  FROM (SELECT _partition_playbook_change AS change
          FROM {log}
         WHERE _partition_playbook_change >= %(floor)s
         ORDER BY _partition_playbook_change
         LIMIT %(bound)s + 1) AS oldest
