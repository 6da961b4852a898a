-- purpose: Write the changed rows of the live table to the standby
-- params: first, last, added_first, added_last
-- returns: none
-- lock: ACCESS SHARE on the live table, ROW EXCLUSIVE on the standby
-- transaction: one
-- rerun: safe because the same transaction deletes these rows first
INSERT INTO {standby} ({row}) OVERRIDING SYSTEM VALUE
SELECT {live_row}
  FROM (SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
         UNION
        SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s) AS k
  JOIN {live} AS s ON {match}
