-- purpose: Read the number of changes since capture started; changes of rolled back transactions count too
-- params: log
-- returns: value
-- lock: ACCESS SHARE on the sequence
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(log)s, '_partition_playbook_change')::regclass), 0)
