-- purpose: Write the changed rows that the standby's unique keys forbid to the table beside
-- params: changes
-- returns: none
-- lock: ACCESS SHARE on both tables, ROW EXCLUSIVE on the table beside
-- transaction: one
-- rerun: safe because the same transaction deletes these rows first
INSERT INTO {doubled} ({row})
SELECT {live_row}
  FROM (SELECT {columns}, min(_partition_playbook_change) AS _partition_playbook_position
          FROM {log}
         WHERE _partition_playbook_change = ANY (%(changes)s)
         GROUP BY {columns}) AS k
  JOIN {live} AS s ON {match}
 WHERE NOT EXISTS (SELECT FROM {standby} AS t WHERE {written})
 ORDER BY k._partition_playbook_position
