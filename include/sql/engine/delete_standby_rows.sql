-- purpose: Delete the changed rows from the standby
-- params: first, last
-- returns: none
-- lock: ROW EXCLUSIVE on the standby
-- transaction: one
-- rerun: safe because deleted rows are skipped
DELETE FROM {standby} AS s
 USING (SELECT DISTINCT {columns} FROM {log} WHERE _partition_playbook_change BETWEEN %(first)s AND %(last)s) AS k
 WHERE {match}
