-- purpose: List the indexes of a table with their sizes
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT i.relname AS name, pg_relation_size(i.oid) AS bytes
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
 WHERE x.indrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY 1
