-- purpose: List what hangs on a table beyond its description: settings, members and dependants that a copy of it would lack
-- params: schema, name, partition_by
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
SELECT 'not_null_not_valid', k.conname::text FROM source c JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'n' AND NOT k.convalidated
UNION
SELECT 'rules_elsewhere', format('%%s on %%s', r.rulename, r.ev_class::regclass)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite r ON r.oid = d.objid AND r.rulename <> '_RETURN' AND r.ev_class <> c.oid
UNION
SELECT CASE d.classid WHEN 'pg_proc'::regclass THEN 'functions' ELSE 'views' END,
       format('%%s needs the key %%s as it is', pg_describe_object(d.classid, d.objid, d.objsubid), k.conname)
  FROM source c
  JOIN pg_constraint k ON k.conrelid = c.oid
  JOIN pg_depend d ON d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.oid AND d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass)
UNION
SELECT 'views', format('%%s reads ONLY the table', v.oid::regclass)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
  JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> c.oid
  JOIN pg_class v ON v.oid = r.ev_class
 WHERE strpos(pg_get_viewdef(v.oid), format('ONLY %%I.%%I', %(schema)s::text, %(name)s::text)) > 0
UNION
SELECT 'functions', format('%%s reads ONLY the table', p.oid::regprocedure)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid
 WHERE strpos(pg_get_functiondef(p.oid), format('ONLY %%I.%%I', %(schema)s::text, %(name)s::text)) > 0
UNION
SELECT 'dependents_of_others', format('%%s of %%s', o.name, pg_get_userbyid(o.owner))
  FROM source c
 CROSS JOIN LATERAL (
       SELECT v.oid::regclass::text AS name, v.relowner AS owner
         FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND v.oid <> c.oid
       UNION
       SELECT p.oid::regprocedure::text, p.proowner
         FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
       UNION
       SELECT format('publication %%s', b.pubname), b.pubowner
         FROM pg_publication_rel r JOIN pg_publication b ON b.oid = r.prpubid
        WHERE r.prrelid = c.oid
       UNION
       SELECT format('foreign key %%s', k.conname), t.relowner
         FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
        WHERE k.confrelid = c.oid AND k.contype = 'f'
      ) AS o
 WHERE NOT pg_has_role(o.owner, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
UNION
SELECT 'functions', format('%%s names a key in ON CONFLICT', p.oid::regprocedure)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid
 WHERE pg_get_functiondef(p.oid) ~* 'on\s+conflict\s*\('
   AND EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = %(partition_by)s
                WHERE i.indrelid = c.oid AND i.indisunique AND NOT a.attnum = ANY (i.indkey))
UNION
SELECT 'triggers_on_moves', g.tgname::text
  FROM source c
  JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 1 = 1 AND g.tgtype & 2 = 0 AND g.tgtype & 16 = 16
UNION
SELECT 'functions', format('%%s takes or returns its rows', d.objid::regprocedure)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, c.array_type) AND d.classid = 'pg_proc'::regclass
UNION
SELECT 'triggers', format('%%s sets %%s', g.tgname, %(partition_by)s::text)
  FROM source c
  JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 3 = 3
  JOIN pg_proc p ON p.oid = g.tgfoid
 WHERE p.prosrc ~* format('new\s*\.\s*"?%%s"?\s*:?=', regexp_replace(%(partition_by)s::text, '(\W)', '\\\1', 'g'))
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
 WHERE NOT (d.classid = 'pg_type'::regclass AND d.objid = c.array_type) AND d.classid <> 'pg_proc'::regclass
UNION
SELECT 'other_dependants', format('%%s of %%s', pg_describe_object(d.classid, d.objid, d.objsubid), a.adrelid::regclass)
  FROM source c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_attrdef'::regclass
  JOIN pg_attrdef a ON a.oid = d.objid AND a.adrelid <> c.oid
UNION
SELECT 'other_dependants', format('%%s reads the sequence %%s', pg_describe_object(d.classid, d.objid, d.objsubid), i.objid::regclass)
  FROM source c
  JOIN pg_depend i ON i.refclassid = 'pg_class'::regclass AND i.refobjid = c.oid AND i.classid = 'pg_class'::regclass AND i.deptype = 'i'
  JOIN pg_class q ON q.oid = i.objid AND q.relkind = 'S'
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = q.oid AND d.deptype = 'n'
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
