-- purpose: List the files of the server's log changed since a moment, oldest first; the last is the current one, and the only one for NULL
-- params: since
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
   AND (compared.is_current OR found.modification >= date_trunc('second', %(since)s::timestamptz))
 ORDER BY compared.is_current, found.modification, found.name
