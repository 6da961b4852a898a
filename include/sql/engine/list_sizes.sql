-- purpose: List the sizes of several tables in bytes, with indexes and TOAST
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s)
