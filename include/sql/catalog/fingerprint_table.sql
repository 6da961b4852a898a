-- purpose: Reduce the definition of a table to one value: it changes with columns, constraints, indexes, triggers, rules, policies and grants
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT md5(concat_ws('|',
         (SELECT string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity, a.attgenerated,
                                      a.attcollation, a.attisdropped, a.attacl::text, pg_get_expr(d.adbin, d.adrelid)), ';' ORDER BY a.attnum)
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
           WHERE a.attrelid = c.oid AND a.attnum > 0),
         (SELECT string_agg(concat_ws(',', k.conname, k.convalidated, pg_get_constraintdef(k.oid)), ';' ORDER BY k.oid)
            FROM pg_constraint k
           WHERE (k.confrelid = c.oid AND k.conparentid = 0)
              -- Not the entries for the partitions of a referenced table: a new partition adds one.
              OR (k.conrelid = c.oid AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid))),
         (SELECT string_agg(concat_ws(',', x.indexrelid::regclass, x.indisvalid, pg_get_indexdef(x.indexrelid)), ';' ORDER BY x.indexrelid)
            FROM pg_index x WHERE x.indrelid = c.oid),
         (SELECT string_agg(concat_ws(',', g.tgname, g.tgenabled), ';' ORDER BY g.oid)
            FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
         (SELECT string_agg(r.rulename, ';' ORDER BY r.oid) FROM pg_rewrite r WHERE r.ev_class = c.oid),
         (SELECT string_agg(p.polname, ';' ORDER BY p.oid) FROM pg_policy p WHERE p.polrelid = c.oid),
         (SELECT string_agg(pr.prpubid::text, ';' ORDER BY pr.prpubid) FROM pg_publication_rel pr WHERE pr.prrelid = c.oid),
         (SELECT string_agg(d.objid::text, ';' ORDER BY d.objid) FROM pg_depend d
           WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass),
         -- xmin of a catalog row reveals every change of a definition without deparsing it.
         (SELECT string_agg(concat_ws(',', v.oid, v.version), ';' ORDER BY v.oid)
            FROM (SELECT r.oid, r.xmin::text AS version FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                  UNION
                  SELECT w.oid, w.xmin::text FROM pg_class w JOIN pg_rewrite r ON r.ev_class = w.oid AND w.relkind = 'v'
                    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                  UNION
                  SELECT f.oid, f.xmin::text FROM pg_proc f JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid
                   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                  UNION
                  SELECT p.oid, p.xmin::text FROM pg_policy p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                   WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
                  UNION
                  SELECT g.oid, g.xmin::text FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
                  UNION
                  SELECT e.oid, e.xmin::text FROM pg_statistic_ext e WHERE e.stxrelid = c.oid
                  UNION
                  SELECT r.oid, r.xmin::text FROM pg_publication_rel r WHERE r.prrelid = c.oid
                  UNION
                  SELECT b.oid, b.xmin::text FROM pg_publication b JOIN pg_publication_rel r ON r.prpubid = b.oid WHERE r.prrelid = c.oid
                 ) AS v),
         c.relforcerowsecurity, c.relowner, c.relacl::text, c.relreplident, c.relrowsecurity, c.relpersistence, c.reloptions::text))
  FROM pg_class c
 WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
