-- purpose: Count the changes in the change log, up to a limit, and read the last id that was ever given to one
-- params: log, limit
-- returns: row
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT count(*) FROM (SELECT FROM {log} LIMIT %(limit)s) AS waiting) AS waiting,
       coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(log)s, '_partition_playbook_change')), 0) AS last_change
