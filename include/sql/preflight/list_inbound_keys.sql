-- purpose: List the foreign keys to a table with their referenced columns, and whether they act on an UPDATE across partitions
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT format('%%s on %%s', k.conname, k.conrelid::regclass) AS name,
       k.conrelid = k.confrelid AS own,
       -- Before PostgreSQL 15 such an UPDATE is a DELETE for these keys: a cascade deletes the referencing rows.
       current_setting('server_version_num')::int < 150000 AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')) AS acts_on_moves,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) AS columns
  FROM pg_constraint k
 WHERE k.contype = 'f'
   AND k.conparentid = 0
   AND k.confrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY 1
