-- purpose: List what hangs on a table beyond its description: settings, members and dependants that a copy of it would lack
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT c.oid, c.relowner, c.reltype, c.reloftype, c.relacl,
           (SELECT t.typarray FROM pg_type t WHERE t.oid = c.reltype) AS array_type
      FROM pg_class c
     WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
)
SELECT 'publications' AS kind, p.pubname::text AS name
  FROM pg_publication_tables p
 WHERE p.schemaname = %(schema)s AND p.tablename = %(name)s
   AND NOT EXISTS (SELECT FROM source c JOIN pg_publication_rel r ON r.prrelid = c.oid JOIN pg_publication n ON n.oid = r.prpubid
                    WHERE n.pubname = p.pubname)
UNION
SELECT 'publications_of_partitions', format('%%s with %%s', p.pubname, r.prrelid::regclass)
  FROM source c
  JOIN pg_publication_rel own ON own.prrelid = c.oid
  JOIN pg_publication p ON p.oid = own.prpubid AND NOT p.pubviaroot
  JOIN pg_publication_rel r ON r.prpubid = p.oid
  JOIN pg_class t ON t.oid = r.prrelid AND t.relkind = 'p'
UNION
SELECT 'nested_materialized_views', format('%%s reads %%s', outer_view.oid::regclass, v.oid::regclass)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite r ON r.oid = d.objid
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'm'
  JOIN pg_depend e ON e.refclassid = 'pg_class'::regclass AND e.refobjid = v.oid AND e.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite f ON f.oid = e.objid AND f.ev_class <> v.oid
  JOIN pg_class outer_view ON outer_view.oid = f.ev_class AND outer_view.relkind = 'm'
UNION
SELECT 'rules_elsewhere', format('%%s on %%s', r.rulename, r.ev_class::regclass)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename <> '_RETURN' AND r.ev_class <> c.oid
UNION
SELECT 'views_grouped_by_key', pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM source c
  JOIN pg_constraint k ON k.conrelid = c.oid
  JOIN pg_depend d ON d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid AND d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass)
UNION
SELECT 'grants_by_others', format('%%s to %%s by %%s', x.privilege_type, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, pg_get_userbyid(x.grantor))
  FROM source c
 CROSS JOIN LATERAL (SELECT c.relacl AS acl UNION ALL SELECT a.attacl FROM pg_attribute a WHERE a.attrelid = c.oid) AS granted
 CROSS JOIN LATERAL aclexplode(granted.acl) x
 WHERE x.grantor <> c.relowner
   AND NOT pg_has_role(x.grantor, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
UNION
SELECT 'subscriptions', s.subname::text
  FROM source c JOIN pg_subscription_rel r ON r.srrelid = c.oid JOIN pg_subscription s ON s.oid = r.srsubid
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
 WHERE NOT (d.classid = 'pg_type'::regclass AND d.objid = c.array_type)
UNION
SELECT 'key_options', i.indexrelid::regclass::text
  FROM source c
  JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('p', 'u')
  JOIN pg_index i ON i.indexrelid = k.conindid
  JOIN pg_class ic ON ic.oid = i.indexrelid AND ic.reloptions IS NOT NULL
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
