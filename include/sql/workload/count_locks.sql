-- purpose: Count the locks of this transaction on a table, its partitions and their indexes
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT count(DISTINCT l.relation)
  FROM pg_locks l
  JOIN (SELECT t.relid AS oid FROM pg_partition_tree(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS t
         UNION ALL
        SELECT x.indexrelid
          FROM pg_partition_tree(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS t JOIN pg_index x ON x.indrelid = t.relid) AS r
    ON r.oid = l.relation
 WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
