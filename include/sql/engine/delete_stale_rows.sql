-- purpose: Delete standby rows whose unique value now belongs to a changed row, and add their keys to the change log
-- params: first, last, added_first, added_last
-- returns: none
-- lock: ACCESS SHARE on the live table, ROW EXCLUSIVE on the standby and on the change log
-- transaction: one
-- rerun: safe because deleted rows are skipped
WITH gone AS (
    -- The names of the wanted values occur in no table, so all names of columns in the index's expressions are those of the standby.
    DELETE FROM {standby} AS s
     USING (SELECT {wanted}
              FROM (SELECT t.*
                      FROM (SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s
                             UNION
                            SELECT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(added_first)s AND %(added_last)s) AS k
                      JOIN {live} AS t ON {changed}) AS t
             WHERE {predicate}) AS w
     WHERE {collides} AND {predicate} AND {reached}
       -- A row that has the value in the live table too is no remainder: the live table has the value twice.
       AND NOT EXISTS (SELECT FROM {live} AS t WHERE {same} AND {collides} AND {predicate})
    RETURNING {gone_columns}
)
INSERT INTO {log} ({columns}) SELECT {columns} FROM gone
