-- purpose: Name the sessions that hold a lock on a table, on its partitions and on what they refer to, and whose turn it is
-- params: schema, name, turns
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH RECURSIVE tables (oid) AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid
     UNION SELECT inhrelid FROM tables JOIN pg_inherits ON inhparent = tables.oid
), involved (oid) AS (
    SELECT oid FROM tables
     UNION SELECT confrelid FROM tables JOIN pg_constraint k ON k.conrelid = tables.oid WHERE k.contype = 'f'
)
SELECT a.pid,
       a.usename,
       a.application_name,
       string_agg(DISTINCT concat_ws(' on ', CASE l.locktype WHEN 'relation' THEN l.mode ELSE 'its turn' END, l.relation::regclass), ', ') AS modes,
       date_trunc('milliseconds', clock_timestamp() - coalesce(a.xact_start, a.state_change))::text AS age,
       left(regexp_replace(a.query, '\s+', ' ', 'g'), 120) AS query
  FROM pg_locks l
  JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.granted
   AND l.pid <> pg_backend_pid()
   AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
   AND CASE l.locktype
         WHEN 'relation' THEN l.relation IN (SELECT oid FROM involved)
         WHEN 'advisory' THEN l.objsubid = 1 AND (l.classid::bigint << 32) + l.objid::bigint
                              IN (SELECT hashtextextended(each, 0) FROM unnest(%(turns)s::text[]) AS each)
         ELSE false
       END
 GROUP BY a.pid, a.usename, a.application_name, a.xact_start, a.state_change, a.query
 ORDER BY coalesce(a.xact_start, a.state_change)
 LIMIT 20
