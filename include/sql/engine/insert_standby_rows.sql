-- purpose: Write the changed rows of the live table to the standby
-- params: changes
-- returns: none
-- lock: ACCESS SHARE on the live table, ROW EXCLUSIVE on the standby
-- transaction: one
-- rerun: safe because the same transaction deletes these rows first
INSERT INTO {standby} ({row}) OVERRIDING SYSTEM VALUE
SELECT {live_row}
  FROM (SELECT DISTINCT {columns} FROM {log} WHERE _partition_playbook_change = ANY (%(changes)s)) AS k
  JOIN {live} AS s ON {match}
