-- purpose: Describe the sessions and prepared transactions with locks on tables, their partitions and referenced tables, or with an advisory lock; literals are cut from statements, as they may be secret
-- params: schemas, names, advisory_locks
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH RECURSIVE tables (oid) AS (
    SELECT to_regclass(format('%%I.%%I', each.schema, each.name))::oid
      FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS each (schema, name)
     UNION SELECT inhrelid FROM tables JOIN pg_inherits ON inhparent = tables.oid
), involved (oid, label) AS (
    SELECT oid, '' FROM tables
     UNION SELECT confrelid, ' on ' || confrelid::regclass FROM tables JOIN pg_constraint k ON k.conrelid = tables.oid WHERE k.contype = 'f'
), held (pid, holder, what) AS (
    SELECT l.pid, l.virtualtransaction, l.mode || involved.label
      FROM pg_locks l JOIN involved ON l.relation = involved.oid
     WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     UNION
    SELECT l.pid, l.virtualtransaction, 'advisory lock'
      FROM pg_locks l JOIN unnest(%(advisory_locks)s::text[]) AS each (turn)
        ON (l.classid::bigint << 32) + l.objid::bigint = hashtextextended(each.turn, 0)
     WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 1
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT 0 AS pid,
       p.owner AS usename,
       p.gid AS application_name,
       NULL AS client,
       string_agg(held.what, ', ' ORDER BY held.what) AS modes,
       date_trunc('milliseconds', clock_timestamp() - p.prepared)::text AS age,
       '' AS query
  FROM held
  -- No process holds the locks of a prepared transaction; its own id tells which one it is.
  JOIN pg_locks own ON own.virtualtransaction = held.holder AND own.locktype = 'transactionid' AND own.pid IS NULL
  JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
 WHERE held.pid IS NULL
 GROUP BY p.owner, p.gid, p.prepared
UNION ALL
(
SELECT a.pid,
       a.usename,
       a.application_name,
       -- The address is hidden from a role that may not see other sessions, and a background process has none.
       CASE WHEN a.client_port = -1 THEN 'a local socket' ELSE host(a.client_addr) END AS client,
       string_agg(held.what, ', ' ORDER BY held.what) AS modes,
       date_trunc('milliseconds', clock_timestamp() - coalesce(a.xact_start, a.state_change))::text AS age,
       left(btrim(regexp_replace(regexp_replace(regexp_replace(a.query, '[''$].*', '...'), '\m[0-9][\w.]*', '?', 'g'), '\s+', ' ', 'g')), 120) AS query
  FROM held
  JOIN pg_stat_activity a USING (pid)
 WHERE a.pid <> pg_backend_pid()
 GROUP BY a.pid, a.usename, a.application_name, a.client_addr, a.client_port, a.xact_start, a.state_change, a.query
 ORDER BY coalesce(a.xact_start, a.state_change)
 LIMIT 20
)
