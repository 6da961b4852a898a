-- purpose: List the foreign keys that refer to a table with the columns that they refer to
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT format('%%s on %%s', k.conname, k.conrelid::regclass) AS name,
       k.conrelid = k.confrelid AS own,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) AS columns
  FROM pg_constraint k
 WHERE k.contype = 'f'
   AND k.conparentid = 0
   AND k.confrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY 1
