-- purpose: List the transactions with a lock on a table and their age in seconds, NULL if hidden from this role; values in their statements are removed, because they may be secrets
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT a.pid,
       a.usename::text AS usename,
       a.application_name,
       CASE WHEN a.client_port = -1 THEN 'a local socket' ELSE host(a.client_addr) END AS client,
       a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds,
       left(btrim(regexp_replace(regexp_replace(regexp_replace(a.query, '[''$].*', '...'), '\m[0-9][\w.]*', '?', 'g'), '\s+', ' ', 'g')), 120) AS query
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid()
   AND a.pid IN (SELECT l.pid
                   FROM pg_locks l
                  WHERE l.locktype = 'relation'
                    AND l.granted
                    AND l.relation = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)))
 ORDER BY a.xact_start
