-- purpose: Write the changed rows as they now are in the live table to the one that is not live
-- params: changes
-- returns: none
-- lock: ACCESS SHARE on the live table, ROW EXCLUSIVE on the standby
-- transaction: one
-- rerun: safe because the same transaction deletes those rows first
INSERT INTO {standby} ({row}) OVERRIDING SYSTEM VALUE
SELECT {live_row}
  FROM (SELECT DISTINCT {columns} FROM {log} WHERE _partition_playbook_change = ANY (%(changes)s)) AS k
  JOIN {live} AS s ON {match}
