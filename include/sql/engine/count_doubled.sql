-- purpose: Count the doubled rows that are in the live table, and those that a rollback took out of it
-- params: none
-- returns: row
-- lock: ACCESS SHARE on the table beside
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FILTER (WHERE _partition_playbook_left_at IS NULL) AS open,
       count(*) FILTER (WHERE _partition_playbook_left_at IS NOT NULL) AS gone
  FROM {doubled}
