-- purpose: Read the bytes of WAL files that lie ready to be used again; it needs pg_monitor
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT (count(*) * pg_size_bytes(current_setting('wal_segment_size')))::bigint
  FROM pg_ls_waldir()
 -- Without the timeline, the first eight digits.
 WHERE name ~ '^[0-9A-F]+$' AND substr(name, 9) > substr(pg_walfile_name(pg_current_wal_lsn()), 9)
