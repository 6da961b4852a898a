-- purpose: List the tables with a capture trigger, under their present names
-- params: function
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT n.nspname AS schema, c.relname AS name
  FROM pg_trigger t
  JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.tgfoid = to_regproc(%(function)s)
 ORDER BY 1, 2
