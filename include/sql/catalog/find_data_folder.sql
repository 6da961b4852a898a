-- purpose: Read where the server keeps its data and when that folder last changed, so that its disk can be recognized
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('data_directory') AS folder,
       extract(epoch FROM (pg_stat_file('.')).modification)::float8 AS modified
