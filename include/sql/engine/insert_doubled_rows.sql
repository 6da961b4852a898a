-- purpose: Write the changed rows that the standby's unique keys forbid to the table beside
-- params: first, last, added_first, added_last
-- returns: none
-- lock: ACCESS SHARE on both tables, ROW EXCLUSIVE on the table beside
-- transaction: one
-- rerun: safe because the same transaction deletes these rows first
INSERT INTO {doubled} ({row})
SELECT {live_row}
  FROM (SELECT {columns}, min(_partition_playbook_change) AS _partition_playbook_position
          FROM {log}
         WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
            OR _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s
         GROUP BY {columns}) AS k
  JOIN {live} AS s ON {match}
 WHERE NOT EXISTS (SELECT FROM {standby} AS t WHERE {written})
 ORDER BY k._partition_playbook_position
