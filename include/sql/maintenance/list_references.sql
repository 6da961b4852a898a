-- purpose: List the foreign keys that reference a partition by itself; they would survive its detach and prevent its drop
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname AS schema, c.relname AS name, format('%%s on %%s', k.conname, k.conrelid::regclass) AS key
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_constraint k ON k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0
 WHERE i.inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY 1, 2, 3
