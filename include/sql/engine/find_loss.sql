-- purpose: Read if capture has stopped, its SQLSTATE in base 36, and the size of the change log in bytes without its index
-- params: loss, log
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT to_regclass(%(loss)s) IS NULL OR to_regclass(%(log)s) IS NULL AS missing,
       pg_sequence_last_value(to_regclass(%(loss)s)) AS code,
       pg_relation_size(to_regclass(%(log)s)) AS bytes
