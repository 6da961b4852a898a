-- purpose: List the tables with the names of the history tables of schema tools, with their columns
-- params: names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname::text AS schema, c.relname::text AS name, array_agg(lower(a.attname::text) ORDER BY a.attnum) AS columns
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND lower(c.relname::text) = ANY(%(names)s)
 GROUP BY 1, 2
 ORDER BY 1, 2
