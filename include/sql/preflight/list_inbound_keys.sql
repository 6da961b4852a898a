-- purpose: List the foreign keys that refer to a table with the columns that they refer to, and whether they act where a row moves to another partition
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT format('%%s on %%s', k.conname, k.conrelid::regclass) AS name,
       k.conrelid = k.confrelid AS own,
       -- Before 15 the server took such a row for a deleted one: its cascade deletes what refers to it.
       current_setting('server_version_num')::int < 150000 AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')) AS acts_on_moves,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) AS columns
  FROM pg_constraint k
 WHERE k.contype = 'f'
   AND k.conparentid = 0
   AND k.confrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY 1
