-- purpose: List the sessions and prepared transactions that others wait for on a table, its siblings or their partitions, and those with a lock on them for long; literals are cut from statements, as they may be secret
-- params: schema, names, seconds
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH tables AS (
    SELECT c.oid
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s)
), involved AS (
    SELECT oid FROM tables
     UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN tables ON i.inhparent = tables.oid
), locks AS MATERIALIZED (
    SELECT l.pid, l.granted, l.virtualtransaction
      FROM pg_locks l
      JOIN involved ON l.relation = involved.oid
     WHERE l.pid IS DISTINCT FROM pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
), blocking AS (
    SELECT b.pid, count(*)::int AS blocks
      FROM (SELECT DISTINCT pid FROM locks WHERE NOT granted) AS w
     CROSS JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(w.pid)) AS pid) AS b
     GROUP BY b.pid
)
-- No process holds the locks of a prepared transaction, so the server does not tell which sessions wait for which one.
SELECT 0 AS pid,
       p.owner AS role,
       p.gid AS application,
       NULL AS client,
       'prepared' AS state,
       p.prepared AS since,
       extract(epoch FROM clock_timestamp() - p.prepared)::float8 AS seconds,
       coalesce((SELECT blocks FROM blocking WHERE pid = 0), 0) AS blocks,
       false AS is_ours,
       '' AS query
  FROM pg_prepared_xacts p
  JOIN pg_locks own ON own.transactionid = p.transaction AND own.locktype = 'transactionid' AND own.pid IS NULL
 WHERE own.virtualtransaction IN (SELECT virtualtransaction FROM locks WHERE pid IS NULL)
   AND (EXISTS (SELECT FROM blocking WHERE pid = 0) OR p.prepared < clock_timestamp() - %(seconds)s * interval '1 second')
UNION ALL
(
SELECT a.pid,
       a.usename AS role,
       a.application_name AS application,
       CASE WHEN a.client_port = -1 THEN 'a local socket' ELSE host(a.client_addr) END AS client,
       a.state,
       a.xact_start AS since,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds,
       coalesce(b.blocks, 0) AS blocks,
       coalesce(starts_with(a.application_name, 'partition_playbook'), false) AS is_ours,
       left(btrim(regexp_replace(regexp_replace(regexp_replace(a.query, '[''$].*', '...'), '\m[0-9][\w.]*', '?', 'g'), '\s+', ' ', 'g')), 120) AS query
  FROM pg_stat_activity a
  LEFT JOIN blocking b ON b.pid = a.pid
 WHERE b.pid IS NOT NULL
    OR (a.xact_start < clock_timestamp() - %(seconds)s * interval '1 second'
        AND NOT coalesce(starts_with(a.application_name, 'partition_playbook'), false)
        AND a.pid IN (SELECT pid FROM locks WHERE granted))
 ORDER BY blocks DESC, a.xact_start
 LIMIT 50
)
