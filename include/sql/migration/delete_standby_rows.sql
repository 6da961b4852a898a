-- purpose: Delete the changed rows from the table that is not live
-- params: changes
-- returns: none
-- lock: ROW EXCLUSIVE on the standby
-- transaction: one
-- rerun: safe because a row that is gone already is passed over
DELETE FROM {standby} AS s
 USING (SELECT DISTINCT {columns} FROM {log} WHERE _partition_playbook_change = ANY (%(changes)s)) AS k
 WHERE {match}
