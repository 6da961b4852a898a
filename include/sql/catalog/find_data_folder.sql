-- purpose: Read the server's data directory and its modification time, to recognize its disk from outside
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('data_directory') AS folder,
       extract(epoch FROM (pg_stat_file('.')).modification)::float8 AS modified
