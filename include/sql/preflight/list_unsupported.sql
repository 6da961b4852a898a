-- purpose: List unsupported settings, members and dependants of a table by kind: a copy of the table would lack them
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
), relations AS (
    -- Each of these is replaced by another relation: the table and its materialized views.
    SELECT c.oid, c.relname, c.relowner, c.reltype, c.relacl, c.relkind,
           (SELECT t.typarray FROM pg_type t WHERE t.oid = c.reltype) AS array_type
      FROM pg_class c
     WHERE c.oid IN (SELECT s.oid FROM source s
                     UNION
                     SELECT v.oid
                       FROM source s
                       JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND d.classid = 'pg_rewrite'::regclass
                       JOIN pg_rewrite r ON r.oid = d.objid
                       JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'm')
), sequences AS (
    SELECT q.oid, q.relname, q.relowner, q.relacl
      FROM source c
      JOIN pg_depend i ON i.refclassid = 'pg_class'::regclass AND i.refobjid = c.oid AND i.classid = 'pg_class'::regclass AND i.deptype = 'i'
      JOIN pg_class q ON q.oid = i.objid AND q.relkind = 'S'
), names AS (
    -- A constant of type regclass in a definition, as the server prints it.
    SELECT c.oid, format('%%L::regclass', c.oid::regclass::text) AS constant FROM source c
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
SELECT 'constraints_not_inherited', k.conname::text FROM source c JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'n' AND k.connoinherit
UNION
SELECT 'invalid_indexes', format('%%s of materialized view %%s', x.indexrelid::regclass, c.oid::regclass)
  FROM relations c JOIN pg_index x ON x.indrelid = c.oid AND NOT x.indisvalid
 WHERE c.relkind = 'm'
UNION
SELECT 'rules_elsewhere', format('%%s on %%s', r.rulename, r.ev_class::regclass)
  FROM relations c
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
  FROM relations c
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
-- The bits of tgtype: 1 row, 2 BEFORE, 4 INSERT, 8 DELETE, 16 UPDATE. A move fires BEFORE UPDATE, then all triggers of DELETE and INSERT.
SELECT 'triggers_on_moves',
       CASE WHEN g.tgtype & 2 = 2 THEN format('%%s fires for a row that moves, and skips the UPDATE without an error if it returns NULL', g.tgname)
            WHEN g.tgtype & 16 = 16 THEN format('%%s does not fire for a row that moves', g.tgname)
            ELSE format('%%s fires for a row that moves, although nobody %%s it', g.tgname,
                        CASE g.tgtype & 12 WHEN 4 THEN 'inserts' WHEN 8 THEN 'deletes' ELSE 'inserts or deletes' END)
       END
  FROM source c
  JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 1 = 1 AND g.tgtype & 28 <> 0
 -- The trial of before_triggers moves a row with the triggers of both INSERT and UPDATE.
 WHERE g.tgtype & 2 = 0 OR g.tgtype & 8 = 8 OR g.tgtype & 20 = 4
UNION
SELECT 'functions', format('%%s takes or returns rows of %%s', d.objid::regprocedure, c.oid::regclass)
  FROM relations c
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, c.array_type) AND d.classid = 'pg_proc'::regclass
UNION
SELECT 'grants_by_others', format('%%s%%s to %%s by %%s', x.privilege_type, CASE c.relkind WHEN 'm' THEN format(' on %%s', c.relname) END,
                                  CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, pg_get_userbyid(x.grantor))
  FROM relations c
 CROSS JOIN LATERAL (SELECT c.relacl AS acl UNION ALL SELECT a.attacl FROM pg_attribute a WHERE a.attrelid = c.oid) AS granted
 CROSS JOIN LATERAL aclexplode(granted.acl) x
 WHERE x.grantor <> c.relowner
   -- A member of the owner grants as the owner, whatever its own grant option.
   AND (NOT pg_has_role(x.grantor, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
        OR pg_has_role(x.grantor, c.relowner, 'USAGE'))
UNION
SELECT 'grants_by_others', format('%%s on %%s to %%s by %%s', x.privilege_type, q.relname, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, pg_get_userbyid(x.grantor))
  FROM sequences q
 CROSS JOIN LATERAL aclexplode(q.relacl) x
 WHERE x.grantor <> q.relowner
   AND (NOT pg_has_role(x.grantor, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
        OR pg_has_role(x.grantor, q.relowner, 'USAGE'))
UNION
-- Replacing a function or making a materialized view again would lose these.
SELECT 'extension_dependents', format('%%s depends on extension %%s', pg_describe_object(x.classid, x.objid, 0), e.extname)
  FROM source c
 CROSS JOIN LATERAL (
       SELECT 'pg_proc'::regclass::oid AS classid, d.objid
         FROM relations t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_proc'::regclass
       UNION
       SELECT 'pg_class'::regclass::oid, v.oid
         FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid JOIN pg_class w ON w.oid = r.ev_class AND w.relkind = 'm'
         LEFT JOIN pg_index ix ON ix.indrelid = w.oid
        CROSS JOIN LATERAL (VALUES (w.oid), (ix.indexrelid)) AS v (oid)
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
      ) AS o
  JOIN pg_depend x ON x.classid = o.classid AND x.objid = o.objid AND x.refclassid = 'pg_extension'::regclass AND x.deptype = 'x'
  JOIN pg_extension e ON e.oid = x.refobjid
UNION
SELECT 'subscriptions', s.subname::text
  FROM source c JOIN pg_subscription_rel r ON r.srrelid = c.oid JOIN pg_subscription s ON s.oid = r.srsubid
UNION
SELECT 'typed_table', c.reloftype::regtype::text FROM source c WHERE c.reloftype <> 0
UNION
SELECT 'extension', format('%%s is a member of %%s', pg_describe_object('pg_class'::regclass, c.oid, 0), e.extname)
  FROM relations c
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid
UNION
SELECT 'row_type', pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM relations c
  JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, c.array_type)
 WHERE NOT (d.classid = 'pg_type'::regclass AND d.objid = c.array_type) AND d.classid <> 'pg_proc'::regclass
UNION
SELECT 'security_labels', format('%%s: %%s on %%s', l.provider, l.label, l.objoid::regclass)
  FROM (SELECT oid FROM relations WHERE relkind = 'm' UNION SELECT oid FROM sequences) AS c
  JOIN pg_seclabel l ON l.classoid = 'pg_class'::regclass AND l.objoid = c.oid
UNION
SELECT 'other_dependants', format('%%s reads the sequence %%s', pg_describe_object(d.classid, d.objid, d.objsubid), q.oid::regclass)
  FROM sequences q
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = q.oid AND d.deptype = 'n'
UNION
-- An object of another table is bound to the oid of this one by a constant of type regclass, a trigger also by FROM.
SELECT 'other_dependants', pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM relations c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
  LEFT JOIN pg_class r ON d.classid = 'pg_class'::regclass AND r.oid = d.objid
  LEFT JOIN pg_index x ON x.indexrelid = r.oid
  LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
  LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
  LEFT JOIN pg_statistic_ext e ON d.classid = 'pg_statistic_ext'::regclass AND e.oid = d.objid
  LEFT JOIN pg_publication_rel p ON d.classid = 'pg_publication_rel'::regclass AND p.oid = d.objid
 WHERE CASE WHEN r.relkind IN ('i', 'I') THEN x.indrelid <> c.oid
            WHEN r.relkind IN ('r', 'p', 'f') THEN NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = r.oid AND h.inhparent = c.oid)
            WHEN r.relkind IN ('t', 'S') THEN false
            WHEN a.oid IS NOT NULL THEN a.adrelid <> c.oid
            WHEN k.oid IS NOT NULL THEN k.conrelid <> c.oid AND k.contype <> 'f'
            WHEN g.oid IS NOT NULL THEN g.tgrelid <> c.oid AND NOT g.tgisinternal
            WHEN e.oid IS NOT NULL THEN e.stxrelid <> c.oid
            WHEN p.oid IS NOT NULL THEN p.prrelid <> c.oid
            ELSE d.classid NOT IN ('pg_type'::regclass, 'pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_proc'::regclass) END
UNION
SELECT 'other_dependants', format('%%s in another session', pg_describe_object(o.classid, o.objid, 0))
  FROM relations c
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
  LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_class v ON v.oid = r.ev_class
  LEFT JOIN pg_proc f ON d.classid = 'pg_proc'::regclass AND f.oid = d.objid
 CROSS JOIN LATERAL (SELECT CASE WHEN v.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS classid, coalesce(v.oid, d.objid) AS objid) AS o
  JOIN pg_namespace t ON t.oid = coalesce(v.relnamespace, f.pronamespace) AND t.nspname LIKE 'pg\_temp\_%%'
UNION
-- A definition of the table's own with such a constant: its copy would be bound to the original.
SELECT 'own_name', o.name
  FROM names n
 CROSS JOIN LATERAL (
       SELECT format('default of %%s', a.attname) AS name, pg_get_expr(d.adbin, d.adrelid) AS definition
         FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE d.adrelid = n.oid
       UNION ALL
       SELECT format('constraint %%s', k.conname), pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = n.oid AND k.contype = 'c'
       UNION ALL
       SELECT format('index %%s', x.indexrelid::regclass), pg_get_indexdef(x.indexrelid) FROM pg_index x WHERE x.indrelid = n.oid
       UNION ALL
       SELECT format('statistics %%s', e.stxname), pg_get_statisticsobjdef(e.oid) FROM pg_statistic_ext e WHERE e.stxrelid = n.oid
       UNION ALL
       SELECT format('trigger %%s', g.tgname), pg_get_triggerdef(g.oid) FROM pg_trigger g WHERE g.tgrelid = n.oid AND NOT g.tgisinternal
       UNION ALL
       SELECT format('publication %%s', p.pubname), to_jsonb(t) ->> 'rowfilter'
         FROM pg_publication_rel r
         JOIN pg_publication p ON p.oid = r.prpubid
         JOIN pg_publication_tables t ON t.pubname = p.pubname AND t.schemaname = %(schema)s AND t.tablename = %(name)s
        WHERE r.prrelid = n.oid
      ) AS o
 WHERE strpos(o.definition, n.constant) > 0
 ORDER BY 1, 2
