-- purpose: Name the sessions that hold a lock on a table
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT a.pid,
       a.usename,
       a.application_name,
       string_agg(DISTINCT l.mode, ', ') AS modes,
       date_trunc('milliseconds', clock_timestamp() - a.xact_start)::text AS age,
       left(regexp_replace(a.query, '\s+', ' ', 'g'), 120) AS query
  FROM pg_locks l
  JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'relation'
   AND l.granted
   AND l.pid <> pg_backend_pid()
   AND l.relation = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 GROUP BY a.pid, a.usename, a.application_name, a.xact_start, a.query
 ORDER BY a.xact_start
