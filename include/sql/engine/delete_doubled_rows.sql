-- purpose: Delete the changed rows, and the rows that the standby has now, from the table beside
-- params: first, last, added_first, added_last
-- returns: none
-- lock: ROW EXCLUSIVE on the table beside
-- transaction: one
-- rerun: safe because deleted rows are skipped
DELETE FROM {doubled}
 WHERE _partition_playbook_doubled IN (
       SELECT d._partition_playbook_doubled
         FROM (SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
                UNION
               SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s) AS k
         JOIN {doubled} AS d ON {changed} AND d._partition_playbook_left_at IS NULL
        UNION ALL
       SELECT d._partition_playbook_doubled
         FROM {doubled} AS d
         JOIN {standby} AS s ON {written}
        WHERE d._partition_playbook_left_at IS NULL)
