-- purpose: List the files of the server's log from a known one on, oldest change first; the last is the current one
-- params: known
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT regexp_replace(current.file, '[^/]*$', '') || found.name AS file, found.size
  FROM (SELECT pg_current_logfile() AS file) AS current
 CROSS JOIN LATERAL pg_ls_logdir() AS found
 CROSS JOIN LATERAL (SELECT found.name = regexp_replace(current.file, '^.*/', '') AS is_current) AS compared
 -- Beside the plain log the collector may write the same lines as CSV or JSON.
 WHERE substring(found.name FROM '[^.]*$') = substring(current.file FROM '[^.]*$')
   -- Times of files are compared with each other: the clock of the file system need not be the server's.
   AND (compared.is_current
        OR found.modification >= (SELECT known.modification
                                    FROM pg_ls_logdir() AS known
                                   WHERE known.name = regexp_replace(%(known)s, '^.*/', '')))
 ORDER BY compared.is_current, found.modification, found.name
