-- purpose: List those of some partitions that may have rows: the ones with pages and a right to read them; no foreign tables, because their server may not answer
-- params: schemas, names
-- returns: rows
-- lock: ACCESS SHARE on each partition for a moment
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname AS schema, c.relname AS name
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS wanted (schema, name)
  JOIN pg_namespace n ON n.nspname = wanted.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
 WHERE has_table_privilege(c.oid, 'SELECT')
   AND CASE c.relkind
           WHEN 'f' THEN false
           WHEN 'p' THEN EXISTS (SELECT
                                   FROM pg_partition_tree(c.oid) AS tree
                                   JOIN pg_class leaf ON leaf.oid = tree.relid
                                  WHERE tree.isleaf AND leaf.relkind = 'r' AND pg_relation_size(leaf.oid) > 0)
                        AND NOT EXISTS (SELECT
                                          FROM pg_partition_tree(c.oid) AS tree
                                          JOIN pg_class leaf ON leaf.oid = tree.relid
                                         WHERE leaf.relkind = 'f')
           ELSE pg_relation_size(c.oid) > 0
       END
 ORDER BY 1, 2
