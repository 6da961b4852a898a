-- Everything that hangs on a table's name, one row a thing: kind, name, definition. Run with an empty search_path, so
-- that every name in a definition says which table it means. A row of the heap is read from every partition: where two
-- partitions differ there are two rows.
WITH RECURSIVE live AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = %(name)s
), heaps AS (
    SELECT t.relid::oid AS oid FROM live, pg_partition_tree(live.oid) t WHERE t.isleaf
    UNION
    SELECT c.oid FROM pg_class c JOIN live USING (oid) WHERE c.relkind = 'r'
), dependents (class, oid) AS (
    SELECT 'pg_class'::regclass::oid, oid FROM live
    UNION
    SELECT CASE WHEN r.oid IS NULL THEN x.classid ELSE 'pg_class'::regclass::oid END, coalesce(r.ev_class, x.objid)
      FROM dependents d
      JOIN pg_depend x ON x.refclassid = d.class AND x.refobjid = d.oid
      LEFT JOIN pg_rewrite r ON x.classid = 'pg_rewrite'::regclass AND r.oid = x.objid
     WHERE x.classid = 'pg_proc'::regclass OR r.rulename = '_RETURN'
), relations AS (
    SELECT c.*, c.oid::regclass::text AS called
      FROM dependents d JOIN pg_class c ON d.class = 'pg_class'::regclass AND c.oid = d.oid
), functions AS (
    SELECT p.*, p.oid::regprocedure::text AS called
      FROM dependents d JOIN pg_proc p ON d.class = 'pg_proc'::regclass AND p.oid = d.oid
), columns AS (
    SELECT r.called, r.oid AS relation, a.attnum, a.attname, a.attacl, r.relowner,
           row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum) AS position,
           concat_ws(' ', format_type(a.atttypid, a.atttypmod),
                     (SELECT 'COLLATE ' || o.collname FROM pg_collation o WHERE o.oid = a.attcollation),
                     CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                     'default ' || pg_get_expr(d.adbin, d.adrelid),
                     'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''),
                     'comment ' || quote_literal(col_description(r.oid, a.attnum))) AS definition
      FROM relations r
      JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
), indexes AS (
    SELECT r.called, x.*, i.relname, format('%%s.%%s', r.called, i.relname) AS name
      FROM relations r JOIN pg_index x ON x.indrelid = r.oid JOIN pg_class i ON i.oid = x.indexrelid
), index_parts AS (
    SELECT i.name, t.relid::oid AS oid FROM indexes i, pg_partition_tree(i.indexrelid) t
    UNION
    SELECT i.name, i.indexrelid FROM indexes i
), sequences AS (
    SELECT s.*, x.refobjsubid, x.deptype, c.relowner, c.relacl, c.oid::regclass::text AS called
      FROM live
      JOIN pg_depend x ON x.refclassid = 'pg_class'::regclass AND x.refobjid = live.oid AND x.deptype IN ('a', 'i')
       AND x.classid = 'pg_class'::regclass
      JOIN pg_sequence s ON s.seqrelid = x.objid
      JOIN pg_class c ON c.oid = s.seqrelid
)
SELECT 'owner' AS kind, called AS name, pg_get_userbyid(relowner)::text AS definition FROM relations
UNION ALL
SELECT 'row security', called, format('enabled %%s, forced %%s', relrowsecurity, relforcerowsecurity) FROM relations
UNION ALL
SELECT 'comment', called, obj_description(oid, 'pg_class') FROM relations
UNION ALL
SELECT 'grant', format('%%s on %%s to %%s by %%s', x.privilege_type, r.called,
                       CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END, pg_get_userbyid(x.grantor)),
       format('grantable %%s', x.is_grantable)
  FROM relations r, aclexplode(coalesce(r.relacl, acldefault('r', r.relowner))) x
UNION ALL
SELECT 'heap', 'heap', concat_ws(', ', c.relpersistence, m.amname, 'tablespace ' || t.spcname,
                                 'options ' || (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(c.reloptions) o),
                                 'toast ' || (SELECT string_agg(o, ' ' ORDER BY o) FROM unnest(s.reloptions) o))
  FROM heaps
  JOIN pg_class c USING (oid)
  JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_class s ON s.oid = c.reltoastrelid
  LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace
 GROUP BY 3
UNION ALL
SELECT DISTINCT 'replica identity', 'table and heap',
       concat_ws(' ', c.relreplident,
                 (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum)
                    FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indexrelid
                   WHERE x.indrelid = c.oid AND x.indisreplident))
  FROM (SELECT oid FROM heaps UNION SELECT oid FROM live) h JOIN pg_class c USING (oid)
UNION ALL
SELECT 'column', format('%%s.%%s', called, attname), format('%%s: %%s', position, definition) FROM columns
UNION ALL
SELECT DISTINCT 'column storage', h.called || a.attname,
       format('%%s, compression %%s, statistics %%s, options %%s', a.attstorage, a.attcompression,
              coalesce(a.attstattarget, -1), (SELECT array_agg(o) FROM unnest(a.attoptions) o WHERE o ~ '^n_distinct'))
  FROM (SELECT oid, '' AS called FROM heaps UNION SELECT oid, '' FROM live
        UNION SELECT oid, called || '.' FROM relations WHERE relkind = 'm') h
  JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'column grant', format('%%s (%%s.%%s) to %%s by %%s', x.privilege_type, c.called, c.attname,
                              CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END,
                              pg_get_userbyid(x.grantor)),
       format('grantable %%s', x.is_grantable)
  FROM columns c, aclexplode(c.attacl) x
UNION ALL
SELECT CASE k.contype WHEN 'p' THEN 'primary key' ELSE 'constraint' END, k.conname,
       concat_ws(' ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN '(not validated)' END,
                 'comment ' || quote_literal(obj_description(k.oid, 'pg_constraint')))
  FROM live JOIN pg_constraint k ON k.conrelid = live.oid AND k.contype <> 't'
 -- A key that references a partitioned table has an entry more for each of its partitions.
 WHERE NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)
UNION ALL
SELECT 'inbound key', format('%%s on %%s', k.conname, k.conrelid::regclass),
       concat_ws(' ', pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN '(not validated)' END,
                 'comment ' || quote_literal(obj_description(k.oid, 'pg_constraint')))
  FROM live JOIN pg_constraint k ON k.confrelid = live.oid AND k.contype = 'f' AND k.conparentid = 0
UNION ALL
SELECT 'index', name,
       concat_ws(' ', CASE WHEN indisprimary THEN 'primary' ELSE replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') END,
                 CASE WHEN NOT indisvalid THEN '(invalid)' END, CASE WHEN indisreplident THEN '(replica identity)' END,
                 'comment ' || quote_literal(obj_description(indexrelid, 'pg_class')))
  FROM indexes
UNION ALL
SELECT DISTINCT 'index storage', p.name,
       format('options %%s, tablespace %%s', c.reloptions, (SELECT spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace))
  FROM index_parts p JOIN pg_class c USING (oid)
UNION ALL
SELECT DISTINCT 'index column', name, format('statistics %%s, options %%s', target, options)
  FROM (SELECT format('%%s.%%s', p.name, a.attnum) AS name, coalesce(a.attstattarget, -1) AS target, (SELECT array_agg(o) FROM unnest(a.attoptions) o WHERE o ~ '^n_distinct') AS options,
               bool_or(a.attstattarget >= 0 OR (SELECT array_agg(o) FROM unnest(a.attoptions) o WHERE o ~ '^n_distinct') IS NOT NULL) OVER (PARTITION BY p.name, a.attnum) AS tuned
          FROM index_parts p JOIN pg_attribute a ON a.attrelid = p.oid) c
 WHERE tuned
UNION ALL
SELECT 'trigger', format('%%s.%%s', r.called, g.tgname),
       concat_ws(' ', pg_get_triggerdef(g.oid), 'enabled',
                 (SELECT string_agg(DISTINCT e.tgenabled::text, ', ') FROM pg_trigger e WHERE g.oid IN (e.oid, e.tgparentid)),
                 'comment ' || quote_literal(obj_description(g.oid, 'pg_trigger')))
  FROM relations r JOIN pg_trigger g ON g.tgrelid = r.oid
 WHERE NOT g.tgisinternal AND g.tgname NOT LIKE 'partition\_playbook\_%%'
UNION ALL
SELECT 'depends on extension', pg_describe_object(x.classid, x.objid, 0), e.extname::text
  FROM pg_depend x JOIN pg_extension e ON e.oid = x.refobjid
 WHERE x.deptype = 'x' AND x.refclassid = 'pg_extension'::regclass
   AND (x.classid = 'pg_class'::regclass AND x.objid IN (SELECT indexrelid FROM indexes)
        OR x.classid = 'pg_trigger'::regclass AND x.objid IN (SELECT g.oid FROM relations r JOIN pg_trigger g ON g.tgrelid = r.oid))
UNION ALL
SELECT 'rule', format('%%s.%%s', w.ev_class::regclass, w.rulename), format('%%s enabled %%s', pg_get_ruledef(w.oid), w.ev_enabled)
  FROM pg_rewrite w
 WHERE w.rulename <> '_RETURN'
   AND (w.ev_class IN (SELECT oid FROM relations)
        OR w.oid IN (SELECT x.objid FROM relations r
                       JOIN pg_depend x ON x.refclassid = 'pg_class'::regclass AND x.refobjid = r.oid
                      WHERE x.classid = 'pg_rewrite'::regclass))
UNION ALL
SELECT 'policy', format('%%s.%%s', p.polrelid::regclass, p.polname),
       concat_ws(' ', p.polcmd, CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'to',
                 (SELECT string_agg(CASE o WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o) END, ', ' ORDER BY o) FROM unnest(p.polroles) o),
                 'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid),
                 'comment ' || quote_literal(obj_description(p.oid, 'pg_policy')))
  FROM pg_policy p
 WHERE p.polrelid IN (SELECT oid FROM live)
    OR p.oid IN (SELECT x.objid FROM dependents d
                   JOIN pg_depend x ON x.refclassid = d.class AND x.refobjid = d.oid
                  WHERE x.classid = 'pg_policy'::regclass)
UNION ALL
SELECT 'publication', p.pubname::text,
       concat_ws(' ', 'publishes', format('%%I.%%I', t.schemaname, t.tablename), to_jsonb(t) ->> 'attnames',
                 'where ' || (to_jsonb(t) ->> 'rowfilter'), 'insert', p.pubinsert, 'update', p.pubupdate, 'delete', p.pubdelete,
                 'truncate', p.pubtruncate, 'owner', pg_get_userbyid(p.pubowner),
                 'comment ' || quote_literal(obj_description(p.oid, 'pg_publication')))
  FROM (SELECT oid FROM heaps UNION SELECT oid FROM live) h
  JOIN pg_class c USING (oid)
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname
  JOIN pg_publication p ON p.pubname = t.pubname
UNION ALL
SELECT 'extended statistics', format('%%I.%%I', n.nspname, e.stxname),
       concat_ws(' ', pg_get_statisticsobjdef(e.oid), 'target', coalesce(e.stxstattarget, -1), 'owner', pg_get_userbyid(e.stxowner),
                 'comment ' || quote_literal(obj_description(e.oid, 'pg_statistic_ext')))
  FROM relations r JOIN pg_statistic_ext e ON e.stxrelid = r.oid JOIN pg_namespace n ON n.oid = e.stxnamespace
UNION ALL
SELECT CASE r.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, r.called,
       concat_ws(' ', pg_get_viewdef(r.oid), 'options', r.reloptions, 'populated', r.relispopulated,
                 (SELECT 'tablespace ' || t.spcname FROM pg_tablespace t WHERE t.oid = r.reltablespace))
  FROM relations r WHERE r.relkind IN ('v', 'm')
UNION ALL
SELECT 'function', called,
       concat_ws(' ', pg_get_functiondef(oid), 'owner', pg_get_userbyid(proowner), 'grants',
                 (SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(coalesce(proacl, acldefault('f', proowner))) x),
                 'comment ' || quote_literal(obj_description(oid, 'pg_proc')))
  FROM functions
UNION ALL
SELECT 'sequence', s.called,
       concat_ws(' ', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'by', s.seqincrement, 'from', s.seqmin, 'to', s.seqmax,
                 'cache', s.seqcache, 'cycle', s.seqcycle, 'owner', pg_get_userbyid(s.relowner),
                 'of', (SELECT attname FROM columns c JOIN live ON live.oid = c.relation WHERE c.attnum = s.refobjsubid), s.deptype,
                 'grants', (SELECT string_agg(x::text, ' ' ORDER BY x::text)
                              FROM unnest(coalesce(s.relacl, acldefault('s', s.relowner))) x),
                 'comment ' || quote_literal(obj_description(s.seqrelid, 'pg_class')))
  FROM sequences s
