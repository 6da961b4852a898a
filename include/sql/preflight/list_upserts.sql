-- purpose: List the statements of the live workload that name a table and have an ON CONFLICT clause
-- params: name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT s.calls, left(regexp_replace(s.query, '\s+', ' ', 'g'), 2000) AS query
  FROM {statements} s
 WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
   AND s.query ~* 'on\s+conflict\s*\('
   AND strpos(lower(s.query), lower(%(name)s)) > 0
 ORDER BY s.calls DESC
