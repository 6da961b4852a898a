-- purpose: List the partitions of a table that may have rows: the ones with pages, and foreign tables
-- params: schema, name
-- returns: rows
-- lock: ACCESS SHARE on each partition for a moment
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname AS schema, c.relname AS name
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE i.inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND EXISTS (SELECT
                 FROM pg_partition_tree(c.oid) AS tree
                 JOIN pg_class leaf ON leaf.oid = tree.relid
                WHERE tree.isleaf AND (leaf.relkind = 'f' OR pg_relation_size(leaf.oid) > 0))
 ORDER BY 1, 2
