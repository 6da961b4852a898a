-- purpose: Pick the oldest changes by id, with all other changes to the same rows
-- params: batch
-- returns: value
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(array_agg(l._partition_playbook_change), '{{}}')
  FROM {log} l
  JOIN (SELECT DISTINCT {key} FROM (SELECT {key} FROM {log} ORDER BY _partition_playbook_change LIMIT %(batch)s) AS oldest) AS picked ON {match}
