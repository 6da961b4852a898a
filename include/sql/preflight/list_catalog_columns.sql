-- purpose: List the columns of catalogs, to find those that this version does not know
-- params: catalogs
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.relname AS catalog, a.attname AS column
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname = ANY (%(catalogs)s::text[])
 ORDER BY c.relname, a.attnum
