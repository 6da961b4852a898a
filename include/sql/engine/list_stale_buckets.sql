-- purpose: List the partitions of the standby rows whose unique value now belongs to a changed row, by number
-- params: first, last, added_first, added_last
-- returns: rows
-- lock: ACCESS SHARE on both tables and on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT {bucket} AS bucket
  FROM {standby} AS t
  -- The names of the wanted values occur in no table, so all names of columns in the index's expressions are those of the standby.
 CROSS JOIN (SELECT {wanted}
               FROM (SELECT t.*
                       FROM (SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
                              UNION
                             SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s) AS k
                       JOIN {live} AS t ON {changed}) AS t
              WHERE {predicate}) AS w
 WHERE {collides} AND {predicate}
