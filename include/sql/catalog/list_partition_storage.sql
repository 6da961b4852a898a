-- purpose: List the distinct storage settings of the partitions: storage parameters, access method, tablespace, owner, replica identity
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
-- The names last, once for each setting: a swap waits for this read of all partitions.
SELECT coalesce(options, '{{}}') AS options,
       coalesce(toast_options, '{{}}') AS toast_options,
       coalesce((SELECT am.amname FROM pg_am am WHERE am.oid = relam), '') AS access_method,
       coalesce((SELECT spcname FROM pg_tablespace s WHERE s.oid = reltablespace), '') AS tablespace,
       pg_get_userbyid(relowner) AS owner,
       relreplident::text AS replica_identity
  FROM (SELECT DISTINCT c.reloptions AS options, t.reloptions AS toast_options, c.relam, c.reltablespace, c.relowner, c.relreplident
          FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'
          LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
         WHERE i.inhparent = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS settings
