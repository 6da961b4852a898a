-- purpose: List the distinct storage settings of detached partitions: storage parameters, access method, tablespace, owner
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(c.reloptions, '{{}}') AS options,
       coalesce(t.reloptions, '{{}}') AS toast_options,
       coalesce((SELECT am.amname FROM pg_am am WHERE am.oid = c.relam), '') AS access_method,
       coalesce((SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace), '') AS tablespace,
       pg_get_userbyid(c.relowner) AS owner,
       min(c.relname) AS partition
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s) AND c.relkind = 'r'
 GROUP BY 1, 2, 3, 4, 5
 ORDER BY min(c.relname)
