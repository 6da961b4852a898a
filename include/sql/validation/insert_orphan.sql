-- purpose: Try to insert a copy of a row that refers to nothing; the caller expects a refusal and rolls back in any case
-- params: none
-- returns: none
-- lock: ROW EXCLUSIVE on the table, for an instant
-- transaction: one
-- rerun: safe because the caller always rolls it back
INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {values} FROM {table} AS t LIMIT 1
