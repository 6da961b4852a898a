-- purpose: List the sessions that others wait for on a table, its siblings or their partitions, and those with a lock on them for long; literals are cut from statements, as they may be secret
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
    SELECT l.pid, l.granted
      FROM pg_locks l
      JOIN involved ON l.relation = involved.oid
     WHERE l.pid IS NOT NULL AND l.pid <> pg_backend_pid()
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
), blocking AS (
    SELECT b.pid, count(*)::int AS blocks
      FROM (SELECT DISTINCT pid FROM locks WHERE NOT granted) AS w
     CROSS JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(w.pid)) AS pid) AS b
     GROUP BY b.pid
)
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
