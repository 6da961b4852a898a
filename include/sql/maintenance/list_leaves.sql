-- purpose: List the leaf partitions of a table: size, rows, age of the oldest transaction id, and missing or invalid indexes
-- params: schema, name, exact
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
-- pg_partition_tree would lock each partition, and wait for those that are locked.
WITH RECURSIVE parent AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AS oid
), tree AS (
    SELECT i.inhrelid AS oid FROM parent JOIN pg_inherits i ON i.inhparent = parent.oid WHERE NOT i.inhdetachpending
    UNION ALL
    SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid WHERE NOT i.inhdetachpending
), lacking AS (
    SELECT missing.partition AS oid, array_agg(c.relname::text ORDER BY c.relname) AS indexes
      FROM (SELECT i.inhrelid AS partition, px.indexrelid AS index
              FROM parent
              JOIN pg_inherits i ON i.inhparent = parent.oid
              JOIN pg_index px ON px.indrelid = parent.oid
            EXCEPT
            SELECT x.indrelid, i.inhparent
              FROM parent
              JOIN pg_index px ON px.indrelid = parent.oid
              JOIN pg_inherits i ON i.inhparent = px.indexrelid
              JOIN pg_index x ON x.indexrelid = i.inhrelid AND x.indisvalid) AS missing
      JOIN pg_class c ON c.oid = missing.index
     GROUP BY missing.partition
)
SELECT n.nspname AS schema,
       c.relname AS name,
       -- An exact size opens each relation. The pages that VACUUM or ANALYZE counted are enough for partitions at rest.
       CASE WHEN c.reltuples < 0 OR c.relname = ANY (%(exact)s::text[]) THEN pg_total_relation_size(c.oid)
            ELSE current_setting('block_size')::bigint * (
                c.relpages + coalesce(t.relpages, 0)
                + (SELECT coalesce(sum(x.relpages), 0)
                     FROM pg_index i
                     JOIN pg_class x ON x.oid = i.indexrelid
                    WHERE i.indrelid IN (c.oid, t.oid)))
       END AS bytes,
       greatest(c.reltuples, 0)::bigint AS estimated_rows,
       greatest(age(c.relfrozenxid), age(t.relfrozenxid)) AS xid_age,
       coalesce(lacking.indexes, '{{}}') AS lacking
  FROM tree
  JOIN pg_class c ON c.oid = tree.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
  LEFT JOIN lacking ON lacking.oid = c.oid
 WHERE c.relkind = 'r'
 ORDER BY 1, 2
