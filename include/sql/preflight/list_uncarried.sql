-- purpose: List what hangs on a table beyond its description: settings, members and dependants that a copy of it would lack
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT c.oid, c.relowner, c.relnamespace, c.reltype, c.reltoastrelid, c.reloftype, c.relam, c.relacl,
           (SELECT t.typarray FROM pg_type t WHERE t.oid = c.reltype) AS array_type
      FROM pg_class c
     WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
)
SELECT 'publications' AS kind, p.pubname::text AS name
  FROM pg_publication_tables p
 WHERE p.schemaname = %(schema)s AND p.tablename = %(name)s
UNION
SELECT 'subscriptions', s.subname::text
  FROM source c JOIN pg_subscription_rel r ON r.srrelid = c.oid JOIN pg_subscription s ON s.oid = r.srsubid
UNION
SELECT 'column_options', format('%%s (%%s)', a.attname, array_to_string(a.attoptions, ', '))
  FROM source c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE a.attoptions IS NOT NULL AND NOT a.attisdropped
UNION
SELECT 'toast_options', array_to_string(t.reloptions, ', ')
  FROM source c JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE t.reloptions IS NOT NULL
UNION
SELECT 'access_method', m.amname::text
  FROM source c JOIN pg_am m ON m.oid = c.relam
 WHERE m.amname <> current_setting('default_table_access_method')
UNION
SELECT 'typed_table', c.reloftype::regtype::text FROM source c WHERE c.reloftype <> 0
UNION
SELECT 'extension', e.extname::text
  FROM source c
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid
UNION
SELECT 'row_type', pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, c.array_type)
 WHERE d.classid <> 'pg_proc'::regclass AND NOT (d.classid = 'pg_type'::regclass AND d.objid = c.array_type)
UNION
SELECT 'statistics_targets', format('extended statistics %%s', e.stxname)
  FROM source c JOIN pg_statistic_ext e ON e.stxrelid = c.oid
 WHERE coalesce(e.stxstattarget, -1) >= 0
UNION
SELECT 'statistics_targets', format('column %%s of index %%s', a.attnum, i.indexrelid::regclass)
  FROM source c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_attribute a ON a.attrelid = i.indexrelid
 WHERE coalesce(a.attstattarget, -1) >= 0
UNION
SELECT 'key_options', i.indexrelid::regclass::text
  FROM source c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary JOIN pg_class ic ON ic.oid = i.indexrelid
 WHERE i.indnatts > i.indnkeyatts OR ic.reloptions IS NOT NULL
UNION
SELECT 'default_privileges', format('%%s to %%s', x.privilege_type, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END)
  FROM source c
  JOIN pg_default_acl d ON d.defaclobjtype = 'r' AND pg_get_userbyid(d.defaclrole) = current_user AND d.defaclnamespace IN (0, c.relnamespace)
 CROSS JOIN LATERAL aclexplode(d.defaclacl) x
 WHERE x.grantee NOT IN (c.relowner, d.defaclrole)
   AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) g WHERE g.grantee = x.grantee AND g.privilege_type = x.privilege_type)
UNION
SELECT 'other_dependants', pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
  LEFT JOIN pg_class r ON d.classid = 'pg_class'::regclass AND r.oid = d.objid
 WHERE d.classid NOT IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_type'::regclass, 'pg_trigger'::regclass,
                         'pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_statistic_ext'::regclass,
                         'pg_publication_rel'::regclass, 'pg_proc'::regclass)
   AND coalesce(r.relkind NOT IN ('i', 't', 'S', 'r', 'p', 'f'), true)
 ORDER BY 1, 2
