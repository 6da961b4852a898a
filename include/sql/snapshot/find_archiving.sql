-- purpose: Read if the server archived WAL since a moment, and if its last try failed, as the proof of a backup of others
-- params: since
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('archive_mode') AS mode,
       last_archived_wal AS archived,
       last_archived_time AS archived_at,
       coalesce(last_archived_time >= %(since)s, false) AS archived_since,
       last_failed_wal AS failed,
       last_failed_time AS failed_at,
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) AS fails
  FROM pg_stat_archiver
