-- purpose: Read the correlation of a column with the heap: 1 in order, 0 at random
-- params: schema, name, column
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT abs(correlation)::float8 AS correlation
  FROM pg_stats
 WHERE schemaname = %(schema)s AND tablename = %(name)s AND attname = %(column)s AND correlation IS NOT NULL
