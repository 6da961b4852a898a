-- purpose: List the sessions waiting for a lock on a table, its siblings or their partitions, and their blockers; literals are cut from statements, as they may be secret
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT a.pid,
       a.usename AS role,
       a.application_name AS application,
       CASE WHEN a.client_port = -1 THEN 'a local socket' ELSE host(a.client_addr) END AS client,
       c.relname AS "table",
       l.mode,
       extract(epoch FROM clock_timestamp() - coalesce(a.state_change, a.query_start))::float8 AS seconds,
       pg_blocking_pids(a.pid) AS blocked_by,
       left(btrim(regexp_replace(regexp_replace(regexp_replace(a.query, '[''$].*', '...'), '\m[0-9][\w.]*', '?', 'g'), '\s+', ' ', 'g')), 120) AS query
  FROM pg_locks l
  JOIN pg_stat_activity a ON a.pid = l.pid
  JOIN pg_class c ON c.oid = l.relation
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
 WHERE NOT l.granted
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND coalesce(i.inhparent, c.oid) IN (SELECT t.oid
                                          FROM pg_class t
                                          JOIN pg_namespace n ON n.oid = t.relnamespace
                                         WHERE n.nspname = %(schema)s AND t.relname = ANY (%(names)s))
 ORDER BY seconds DESC
 LIMIT 50
