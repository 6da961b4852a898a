-- purpose: Name the sessions that hold a lock on tables, on their partitions and on what they refer to, or whose turn it is; of a statement no value, which may be a secret
-- params: schemas, names, turns
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
), held (pid, what) AS (
    SELECT l.pid, l.mode || involved.label
      FROM pg_locks l JOIN involved ON l.relation = involved.oid
     WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     UNION
    SELECT l.pid, 'its turn'
      FROM pg_locks l JOIN unnest(%(turns)s::text[]) AS each (turn)
        ON (l.classid::bigint << 32) + l.objid::bigint = hashtextextended(each.turn, 0)
     WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 1
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT a.pid,
       a.usename,
       a.application_name,
       string_agg(held.what, ', ' ORDER BY held.what) AS modes,
       date_trunc('milliseconds', clock_timestamp() - coalesce(a.xact_start, a.state_change))::text AS age,
       left(btrim(regexp_replace(regexp_replace(regexp_replace(a.query, '[''$].*', '…'), '\m[0-9][\w.]*', '?', 'g'), '\s+', ' ', 'g')), 120) AS query
  FROM held
  JOIN pg_stat_activity a USING (pid)
 WHERE a.pid <> pg_backend_pid()
 GROUP BY a.pid, a.usename, a.application_name, a.xact_start, a.state_change, a.query
 ORDER BY coalesce(a.xact_start, a.state_change)
 LIMIT 20
