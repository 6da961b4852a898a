-- purpose: Write the changed rows to the standby unless a unique key forbids it: rows of the standby first, then earlier doubled ones, then new ones
-- params: first, last, added_first, added_last, present, reopen
-- returns: none
-- lock: ACCESS SHARE on the live table, ROW EXCLUSIVE on the standby
-- transaction: one
-- rerun: safe because the same transaction deletes the changed rows first
INSERT INTO {standby} ({row}) OVERRIDING SYSTEM VALUE
SELECT {live_row}
  FROM (SELECT {columns}, min(_partition_playbook_rank) AS _partition_playbook_rank, min(_partition_playbook_position) AS _partition_playbook_position
          FROM (SELECT {columns}, CASE WHEN _partition_playbook_change = ANY (%(present)s) THEN 0 ELSE 2 END AS _partition_playbook_rank,
                       _partition_playbook_change AS _partition_playbook_position
                  FROM {log}
                 WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
                 UNION ALL
                -- The batch added these because the standby had their rows.
                SELECT {columns}, 0, _partition_playbook_change
                  FROM {log}
                 WHERE _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s
                 UNION ALL
                SELECT {columns}, 1, _partition_playbook_doubled FROM {doubled} WHERE _partition_playbook_left_at IS NULL AND %(reopen)s) AS c
         GROUP BY {columns}) AS k
  JOIN {live} AS s ON {match}
 ORDER BY k._partition_playbook_rank, k._partition_playbook_position
    ON CONFLICT DO NOTHING
