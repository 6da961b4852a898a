-- purpose: Read the size of a table in bytes without its indexes, and the size of its indexes
-- params: schema, name
-- returns: row
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_table_size(c.oid) AS heap, pg_indexes_size(c.oid) AS indexes
  FROM pg_class c
 WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
