-- purpose: List a table and its siblings with their sizes, NULL under an ACCESS EXCLUSIVE lock
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.relname AS name,
       c.relkind::text AS kind,
       greatest(c.reltuples, 0)::bigint AS estimated_rows,
       CASE WHEN NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')
            THEN pg_total_relation_size(c.oid) END AS bytes
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s) AND c.relkind IN ('r', 'p')
