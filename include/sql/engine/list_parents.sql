-- purpose: List those of the named tables that exist, each with the table that it is a partition of
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.relname AS name, pn.nspname AS parent_schema, p.relname AS parent
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND c.relispartition
  LEFT JOIN pg_class p ON p.oid = i.inhparent
  LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s)
 ORDER BY c.relname
