-- purpose: List the newest 36 partitions of every table of the ledger, each with its size and its estimated rows
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on runs, and for their sizes on the partitions without an ACCESS EXCLUSIVE lock
-- transaction: one
-- rerun: safe because it only reads
WITH tables AS MATERIALIZED (
    SELECT DISTINCT r.table_schema, r.table_name FROM partition_playbook.runs r
), locked AS MATERIALIZED (
    SELECT l.relation FROM pg_locks l WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
     UNION
    SELECT x.indrelid FROM pg_locks l JOIN pg_index x ON x.indexrelid = l.relation WHERE l.mode = 'AccessExclusiveLock'
), ranked AS (
    -- A bound is a number, or a text that begins with the year or with the digits of the time.
    SELECT t.table_schema, t.table_name, c.oid, c.relname, c.relpages, c.reltuples,
           row_number() OVER (
               PARTITION BY c.relkind, i.inhparent
               ORDER BY substring(b.bound FROM '^FOR VALUES FROM \(''?(-?[0-9]+(?:[.][0-9]+)?)''?\)')::numeric DESC NULLS LAST,
                        b.bound LIKE 'FOR VALUES FROM (MINVALUE)%', b.bound DESC) AS place
      FROM tables t
      JOIN pg_namespace n ON n.nspname = t.table_schema
      JOIN pg_class p ON p.relnamespace = n.oid AND p.relname = t.table_name AND p.relkind = 'p'
      JOIN pg_partitioned_table k ON k.partrelid = p.oid
      JOIN pg_inherits i ON i.inhparent = p.oid
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r' AND c.oid <> k.partdefid
     CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, 0) AS bound) AS b
)
SELECT r.table_schema || '.' || r.table_name AS "table",
       r.relname::text AS "partition",
       CASE WHEN locked.relation IS NULL THEN coalesce(pg_total_relation_size(r.oid), 0)
            ELSE r.relpages * current_setting('block_size')::bigint END AS partition_bytes,
       greatest(r.reltuples, 0)::bigint AS partition_rows_estimate
  FROM ranked r
  LEFT JOIN locked ON locked.relation = r.oid
 WHERE r.place <= 36
 ORDER BY 1, 2
