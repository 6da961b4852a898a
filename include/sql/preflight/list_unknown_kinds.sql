-- purpose: List the table's constraints of a kind that this version does not know
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT k.conname AS name, k.contype::text AS kind
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND k.contype NOT IN ('p', 'u', 'x', 'c', 'f', 'n', 't')
 ORDER BY k.conname
