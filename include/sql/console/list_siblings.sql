-- purpose: List a table and its siblings with their sizes, of a partitioned one those of its partitions; NULL under an ACCESS EXCLUSIVE lock
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH locked AS MATERIALIZED (
    SELECT DISTINCT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL
)
SELECT c.relname AS name,
       c.relkind::text AS kind,
       CASE WHEN c.relkind = 'p' THEN (SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)
                                         FROM pg_inherits i
                                         JOIN pg_class p ON p.oid = i.inhrelid
                                        WHERE i.inhparent = c.oid)
            ELSE greatest(c.reltuples, 0) END::bigint AS estimated_rows,
       CASE WHEN locked.relation IS NOT NULL THEN NULL
            WHEN c.relkind = 'p' THEN (SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)
                                         FROM pg_inherits i
                                        WHERE i.inhparent = c.oid
                                          AND NOT EXISTS (SELECT FROM locked l WHERE l.relation = i.inhrelid))
            ELSE pg_total_relation_size(c.oid) END::bigint AS bytes
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN locked ON locked.relation = c.oid
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s) AND c.relkind IN ('r', 'p')
