-- purpose: Describe a table with its columns, constraints, indexes, triggers, policies, grants and more
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.oid::bigint AS oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind,
       c.relpersistence::text AS persistence,
       c.relispartition AS is_partition,
       EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) AND c.relkind = 'r' AS inherits,
       pg_get_userbyid(c.relowner) AS owner,
       c.relreplident::text AS replica_identity,
       c.relrowsecurity AS row_security,
       c.relforcerowsecurity AS row_security_forced,
       coalesce((SELECT am.amname FROM pg_am am WHERE am.oid = c.relam), '') AS access_method,
       coalesce((SELECT to_json(tc.reloptions) FROM pg_class tc WHERE tc.oid = c.reltoastrelid), '[]') AS toast_options,
       coalesce(c.reloptions, '{{}}') AS options,
       coalesce((SELECT spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace), '') AS tablespace,
       coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
       pg_get_partkeydef(c.oid) AS partition_key,
       coalesce((SELECT json_agg(json_build_object(
                   'name', a.attname,
                   'quoted', quote_ident(a.attname),
                   'type', format_type(a.atttypid, a.atttypmod),
                   'collation', coalesce((SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
                                            FROM pg_collation co JOIN pg_namespace cn ON cn.oid = co.collnamespace
                                           WHERE co.oid = a.attcollation AND a.attcollation <> t.typcollation), ''),
                   'not_null', a.attnotnull,
                   'default', CASE WHEN a.attgenerated = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END,
                   'generated', CASE WHEN a.attgenerated = '' THEN '' ELSE a.attgenerated::text || ' ' || pg_get_expr(d.adbin, d.adrelid) END,
                   'identity', a.attidentity::text,
                   'sequence', coalesce(s.name, ''),
                   'storage', a.attstorage::text,
                   'compression', a.attcompression::text,
                   'statistics', coalesce(nullif(a.attstattarget, -1), -1),
                   'options', coalesce(to_json(a.attoptions), '[]'),
                   'exact_hash', EXISTS (SELECT FROM pg_opclass o
                                           JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'hash'
                                          WHERE o.opcdefault AND o.opcintype = b.oid)
                                 AND (EXISTS (SELECT FROM pg_opclass o
                                                JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
                                                JOIN pg_amproc p ON p.amprocfamily = o.opcfamily AND p.amprocnum = 4
                                                                AND p.amproclefttype = o.opcintype AND p.amprocrighttype = o.opcintype
                                               WHERE o.opcdefault AND o.opcintype = b.oid AND b.oid <> 'bpchar'::regtype)
                                      OR b.oid = 'numeric'::regtype AND a.atttypmod >= 0)
                                 AND coalesce((SELECT co.collisdeterministic FROM pg_collation co WHERE co.oid = a.attcollation), true),
                   'equals', coalesce((SELECT format('OPERATOR(%%I.%%s)', pn.nspname, po.oprname)
                                         FROM pg_opclass o
                                         JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
                                         JOIN pg_amop ao ON ao.amopfamily = o.opcfamily AND ao.amopstrategy = 3
                                                        AND ao.amoplefttype = o.opcintype AND ao.amoprighttype = o.opcintype
                                         JOIN pg_operator po ON po.oid = ao.amopopr
                                         JOIN pg_namespace pn ON pn.oid = po.oprnamespace
                                        WHERE o.opcdefault AND o.opcintype = b.oid), 'OPERATOR(pg_catalog.=)'),
                   'comment', coalesce(col_description(c.oid, a.attnum), '')
                 ) ORDER BY a.attnum)
            FROM pg_attribute a
            JOIN pg_type t ON t.oid = a.atttypid
           CROSS JOIN LATERAL (SELECT CASE base WHEN 'varchar'::regtype THEN 'text'::regtype ELSE base END AS oid
                                 FROM (SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END AS base) AS d) AS b
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            LEFT JOIN LATERAL (SELECT pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname) AS name) s ON true
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns,
       coalesce((SELECT json_agg(json_build_object(
                   'name', k.conname,
                   'kind', k.contype::text,
                   'definition', pg_get_constraintdef(k.oid),
                   'validated', k.convalidated,
                   'deferrable', k.condeferrable,
                   'columns', coalesce((SELECT json_agg(a.attname ORDER BY u.position)
                                 FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, position)
                                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum), '[]'),
                   'referenced_schema', coalesce((SELECT rn.nspname FROM pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace WHERE r.oid = k.confrelid), ''),
                   'referenced_table', coalesce((SELECT r.relname FROM pg_class r WHERE r.oid = k.confrelid), ''),
                   'referenced_columns', coalesce((SELECT json_agg(a.attname ORDER BY u.position)
                                 FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, position)
                                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum), '[]'),
                   'comment', coalesce(obj_description(k.oid, 'pg_constraint'), '')
                 ) ORDER BY k.conname)
            FROM pg_constraint k
           WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x', 'c', 'f')
             -- A key that references a partitioned table has an entry more for each of its partitions.
             AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)), '[]') AS constraints,
       coalesce((SELECT json_agg(json_build_object(
                   'name', ic.relname,
                   'unique', x.indisunique,
                   'primary', x.indisprimary,
                   'valid', x.indisvalid,
                   'clustered', x.indisclustered,
                   'constraint', coalesce((SELECT k.conname FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')), ''),
                   'tail', regexp_replace(pg_get_indexdef(x.indexrelid), '^(?:[^"]|"[^"]*")*? (?=USING )', ''),
                   'definition', pg_get_indexdef(x.indexrelid),
                   'columns', coalesce((SELECT json_agg(a.attname ORDER BY u.position)
                                 FROM unnest(x.indkey) WITH ORDINALITY AS u (attnum, position)
                                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
                                WHERE u.position <= x.indnkeyatts), '[]'),
                   'tablespace', coalesce((SELECT spcname FROM pg_tablespace t WHERE t.oid = ic.reltablespace), ''),
                   'plain', x.indpred IS NULL AND x.indexprs IS NULL,
                   'identity', x.indisreplident,
                   'options', coalesce(to_json(ic.reloptions), '[]'),
                   'statistics', coalesce((SELECT json_agg(json_build_array(a.attnum, a.attstattarget) ORDER BY a.attnum)
                                             FROM pg_attribute a WHERE a.attrelid = x.indexrelid AND a.attstattarget >= 0), '[]'),
                   'extensions', coalesce((SELECT json_agg(e.extname ORDER BY e.extname) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                                            WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'), '[]'),
                   'comment', coalesce(obj_description(x.indexrelid, 'pg_class'), '')
                 ) ORDER BY ic.relname)
            FROM pg_index x
            JOIN pg_class ic ON ic.oid = x.indexrelid
           WHERE x.indrelid = c.oid), '[]') AS indexes,
       coalesce((SELECT json_agg(json_build_object(
                   'name', g.tgname,
                   'enabled', g.tgenabled::text,
                   'each_row', g.tgtype & 1 = 1,
                   'transitions', coalesce(g.tgoldtable, g.tgnewtable) IS NOT NULL,
                   'definition', pg_get_triggerdef(g.oid),
                   'tail', substr(d.text, length(d.head || format('ON %%I.%%I', n.nspname, c.relname)) + 1),
                   'head', d.head,
                   'extensions', coalesce((SELECT json_agg(e.extname ORDER BY e.extname) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                                            WHERE d.classid = 'pg_trigger'::regclass AND d.objid = g.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'), '[]'),
                   'comment', coalesce(obj_description(g.oid, 'pg_trigger'), '')
                 ) ORDER BY g.tgname)
            FROM pg_trigger g
           CROSS JOIN LATERAL (SELECT text, substring(text from '^((?:[^"]|"[^"]*")*? )ON ') AS head
                                 FROM pg_get_triggerdef(g.oid) AS text) AS d
           WHERE g.tgrelid = c.oid AND NOT g.tgisinternal), '[]') AS triggers,
       coalesce((SELECT json_agg(json_build_object(
                   'name', p.polname,
                   'command', CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                   'permissive', p.polpermissive,
                   'roles', (SELECT json_agg(CASE r WHEN 0 THEN '' ELSE pg_get_userbyid(r) END ORDER BY CASE r WHEN 0 THEN '' ELSE pg_get_userbyid(r) END)
                               FROM unnest(p.polroles) AS r),
                   'using', coalesce(pg_get_expr(p.polqual, p.polrelid), ''),
                   'with_check', coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''),
                   'comment', coalesce(obj_description(p.oid, 'pg_policy'), '')
                 ) ORDER BY p.polname)
            FROM pg_policy p WHERE p.polrelid = c.oid), '[]') AS policies,
       coalesce((SELECT json_agg(r.rulename ORDER BY r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid), '[]') AS rules,
       coalesce((SELECT json_agg(json_build_object(
                   'name', p.pubname,
                   'columns', CASE WHEN to_jsonb(pr) ->> 'prattrs' IS NULL THEN '[]' ELSE t.row -> 'attnames' END,
                   'filter', coalesce(t.row ->> 'rowfilter', ''),
                   'via_root', p.pubviaroot)
                   ORDER BY p.pubname)
            FROM pg_publication_rel pr
            JOIN pg_publication p ON p.oid = pr.prpubid
            LEFT JOIN LATERAL (SELECT to_jsonb(pt) AS row
                                 FROM pg_publication_tables pt
                                WHERE pt.pubname = p.pubname AND pt.schemaname = n.nspname AND pt.tablename = c.relname) AS t ON true
           WHERE pr.prrelid = c.oid), '[]') AS publications,
       coalesce((SELECT json_agg(json_build_object(
                   'schema', en.nspname,
                   'name', e.stxname,
                   'owner', pg_get_userbyid(e.stxowner),
                   'tail', substr(left(d.text, -length(format(' FROM %%I.%%I', n.nspname, c.relname))), length(format('CREATE STATISTICS %%I.%%I', en.nspname, e.stxname)) + 1),
                   'target', coalesce(nullif(e.stxstattarget, -1), -1),
                   'comment', coalesce(obj_description(e.oid, 'pg_statistic_ext'), '')
                 ) ORDER BY e.stxname)
            FROM pg_statistic_ext e
            JOIN pg_namespace en ON en.oid = e.stxnamespace
           CROSS JOIN LATERAL (SELECT pg_get_statisticsobjdef(e.oid) AS text) AS d
           WHERE e.stxrelid = c.oid), '[]') AS extended_statistics,
       coalesce((SELECT json_agg(format('%%s on %%s', k.conname, k.conrelid::regclass) ORDER BY k.conname)
            FROM pg_constraint k
           WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0), '[]') AS inbound_keys,
       coalesce((SELECT json_agg(l.provider || ': ' || l.label) FROM pg_seclabel l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = c.oid), '[]') AS security_labels,
       coalesce((SELECT json_agg(d.privilege_type ORDER BY d.privilege_type)
            FROM aclexplode(acldefault('r', c.relowner)) AS d
           WHERE c.relacl IS NOT NULL AND c.relkind IN ('r', 'p', 'm')
             AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) AS x WHERE x.grantee = c.relowner AND x.grantor = c.relowner AND x.privilege_type = d.privilege_type)), '[]') AS owner_lacks,
       coalesce((SELECT json_agg(json_build_object(
                   'column', g.column_name, 'grantee', g.grantee, 'grantor', g.grantor, 'privilege', g.privilege_type, 'grantable', g.is_grantable)
                   ORDER BY g.column_name, g.grantee, g.privilege_type, g.grantor)
            FROM (SELECT '' AS column_name, CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END AS grantee,
                         pg_get_userbyid(x.grantor) AS grantor, x.privilege_type, x.is_grantable
                    FROM aclexplode(c.relacl) x
                   WHERE x.grantee <> c.relowner OR x.grantor <> c.relowner
                  UNION ALL
                  SELECT a.attname, CASE x.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(x.grantee) END,
                         pg_get_userbyid(x.grantor), x.privilege_type, x.is_grantable
                    FROM pg_attribute a, aclexplode(a.attacl) x
                   WHERE a.attrelid = c.oid AND NOT a.attisdropped) AS g), '[]') AS grants
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s
   AND c.relname = %(name)s
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
