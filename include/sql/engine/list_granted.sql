-- purpose: List those of the named tables with privileges other than the owner's built-in ones, on itself or on a column
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.relname AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s)
   AND (c.relacl IS NOT NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL))
 ORDER BY c.oid
