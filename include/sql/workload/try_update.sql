-- purpose: Update one row as the application would; the caller always rolls back
-- params: none
-- returns: rows
-- lock: ROW EXCLUSIVE on the table, until it is rolled back
-- transaction: one
-- rerun: safe because the caller always rolls it back
UPDATE {table} AS live SET {changes}
  FROM (SELECT tableoid, ctid FROM {table} LIMIT 1) AS chosen,
       (SELECT * FROM pg_temp.partition_playbook_sample ORDER BY ctid = (SELECT s.ctid FROM pg_temp.partition_playbook_sample AS s OFFSET {number} LIMIT 1) LIMIT 1) AS r
 WHERE live.tableoid = chosen.tableoid AND live.ctid = chosen.ctid
RETURNING live.tableoid::bigint AS partition, chosen.tableoid::bigint AS before
