-- purpose: Insert a copied row as the application would; the caller always rolls back
-- params: none
-- returns: rows
-- lock: ROW EXCLUSIVE on the table, until it is rolled back
-- transaction: one
-- rerun: safe because the caller always rolls it back
INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {values} FROM (SELECT * FROM pg_temp.partition_playbook_sample OFFSET {number} LIMIT 1) AS r
RETURNING tableoid::bigint AS partition
