-- purpose: List the sequences owned by a table's columns, with their options
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT a.attname AS column_name,
       sn.nspname AS schema,
       sc.relname AS name,
       a.attidentity::text AS identity,
       format_type(s.seqtypid, NULL) AS type,
       sc.relpersistence::text AS persistence,
       s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
       coalesce(obj_description(sc.oid, 'pg_class'), '') AS comment,
       coalesce((SELECT json_agg(json_build_object(
                   'column', '', 'grantee', CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END,
                   'grantor', pg_get_userbyid(x.grantor), 'privilege', x.privilege_type, 'grantable', x.is_grantable)
                   ORDER BY x.grantee, x.privilege_type, x.grantor)
            FROM aclexplode(sc.relacl) x WHERE x.grantee <> sc.relowner OR x.grantor <> sc.relowner), '[]') AS grants,
       coalesce((SELECT json_agg(d.privilege_type ORDER BY d.privilege_type)
            FROM aclexplode(acldefault('s', sc.relowner)) AS d
           WHERE sc.relacl IS NOT NULL
             AND NOT EXISTS (SELECT FROM aclexplode(sc.relacl) AS x WHERE x.grantee = sc.relowner AND x.grantor = sc.relowner AND x.privilege_type = d.privilege_type)), '[]') AS owner_lacks
  FROM pg_depend d
  JOIN pg_class sc ON sc.oid = d.objid AND sc.relkind = 'S'
  JOIN pg_namespace sn ON sn.oid = sc.relnamespace
  JOIN pg_sequence s ON s.seqrelid = sc.oid
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.classid = 'pg_class'::regclass
   AND d.refclassid = 'pg_class'::regclass
   AND d.deptype IN ('a', 'i')
   AND d.refobjid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY a.attnum
