-- purpose: Mark the doubled rows as taken out of the live table, and log their keys so that the partitioned table loses them too
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the table beside and on the change log
-- transaction: one
-- rerun: safe because marked rows are skipped
WITH gone AS (
    UPDATE {doubled} SET _partition_playbook_left_at = now() WHERE _partition_playbook_left_at IS NULL RETURNING {columns}
)
INSERT INTO {log} ({columns}) SELECT {columns} FROM gone
