-- purpose: List the distinct storage settings of the partitions: storage parameters, access method, tablespace, owner, replica identity
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT coalesce(c.reloptions, '{{}}') AS options,
       coalesce(t.reloptions, '{{}}') AS toast_options,
       coalesce((SELECT am.amname FROM pg_am am WHERE am.oid = c.relam), '') AS access_method,
       coalesce((SELECT spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace), '') AS tablespace,
       pg_get_userbyid(c.relowner) AS owner,
       c.relreplident::text AS replica_identity
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE i.inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
