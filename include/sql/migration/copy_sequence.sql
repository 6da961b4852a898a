-- purpose: Let one identity go on where the other has come to
-- params: none
-- returns: row
-- lock: ROW EXCLUSIVE on the sequence
-- transaction: one
-- rerun: safe because it copies what is there
SELECT setval({target}::regclass, last_value, is_called) FROM {source}
