-- purpose: Read whether the archiver of WAL fails now
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('archive_mode') AS mode,
       current_setting('archive_mode') <> 'off' AND coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS failing,
       last_failed_wal AS wal,
       last_failed_time AS failed_at,
       failed_count AS failures
  FROM pg_stat_archiver
