-- purpose: Read whether the capture has given up, and how many bytes the change log takes without its index
-- params: loss, log
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_sequence_last_value(to_regclass(%(loss)s)) IS NOT NULL AS lost,
       pg_relation_size(to_regclass(%(log)s)) AS bytes
