-- purpose: Try to insert an orphan copy of a row; the caller expects a refusal and always rolls back
-- params: none
-- returns: rows
-- lock: ROW EXCLUSIVE on the table, for an instant
-- transaction: one
-- rerun: safe because the caller always rolls it back
INSERT INTO {table} AS inserted ({columns}) OVERRIDING SYSTEM VALUE
SELECT {values} FROM {table} AS t LIMIT 1
RETURNING inserted.tableoid AS partition, inserted.ctid::text AS place
