-- purpose: List the foreign keys to a table with both lists of columns, their actions, and the columns of the referring table
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT format('%%s on %%s', k.conname, k.conrelid::regclass) AS name,
       k.conrelid = k.confrelid AS own,
       -- Before PostgreSQL 15 such an UPDATE is a DELETE for these keys: a cascade deletes the referencing rows.
       current_setting('server_version_num')::int < 150000 AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')) AS acts_on_moves,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)) AS columns,
       k.conname::text AS constraint_name,
       n.nspname::text AS schema,
       c.relname::text AS table,
       c.relkind::text AS kind,
       pairs.referring,
       pairs.referenced,
       'd' IN (k.confdeltype, k.confupdtype) AS sets_default,
       -- The rest of the definition, from ON and DEFERRABLE on; NULL for a temporal key.
       CASE WHEN starts_with(d.definition, d.head) THEN substr(d.definition, length(d.head) + 1) END AS tail,
       (SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))
          FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum > 0 AND NOT a.attisdropped) AS types
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY u.position) AS referring,
           array_agg(b.attname::text ORDER BY u.position) AS referenced,
           string_agg(quote_ident(a.attname), ', ' ORDER BY u.position) AS quoted_referring,
           string_agg(quote_ident(b.attname), ', ' ORDER BY u.position) AS quoted_referenced
      FROM unnest(k.conkey, k.confkey) WITH ORDINALITY AS u (own, other, position)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own
      JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.other) AS pairs
 CROSS JOIN LATERAL (
    SELECT pg_get_constraintdef(k.oid) AS definition,
           format('FOREIGN KEY (%%s) REFERENCES %%s(%%s)', pairs.quoted_referring, k.confrelid::regclass, pairs.quoted_referenced) AS head) AS d
 WHERE k.contype = 'f'
   AND k.conparentid = 0
   AND k.confrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY 1
