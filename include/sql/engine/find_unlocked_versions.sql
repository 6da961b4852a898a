-- purpose: Reduce to one value what can change while DDL on both tables and their partitions is locked out: names, privileges, dependents, capture function, change log
-- params: schema, live, standby, function, log, loss
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH live AS (
    SELECT c.oid, c.xmin FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(live)s::text))
), readers AS (
    SELECT d.classid, d.objid FROM live JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = live.oid
)
-- xmin of a catalog row reveals every change of it. A privilege, a view or a function is changed without a lock on the table.
SELECT md5(concat_ws('|', live.oid, live.xmin, to_regclass(format('%%I.%%I', %(schema)s::text, %(standby)s::text))::oid,
         (SELECT string_agg(concat_ws(',', a.attnum, a.xmin), ';' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = live.oid AND a.attnum > 0),
         (SELECT concat_ws(',', p.oid, p.xmin) FROM pg_proc p WHERE p.oid = to_regproc(%(function)s)),
         (SELECT string_agg(concat_ws(',', c.oid, c.xmin, pg_relation_filenode(c.oid), n.xmin), ';' ORDER BY c.oid)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.oid IN (to_regclass(%(log)s), to_regclass(%(loss)s))),
         (SELECT string_agg(concat_ws(',', v.kind, v.oid, v.version), ';' ORDER BY v.kind, v.oid)
            FROM (SELECT 'rule' AS kind, r.oid, r.xmin::text AS version FROM readers d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
                  UNION
                  SELECT 'view', w.oid, w.xmin::text FROM readers d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
                    JOIN pg_class w ON w.oid = r.ev_class AND w.relkind = 'v'
                  UNION
                  SELECT 'function', f.oid, f.xmin::text FROM readers d JOIN pg_proc f ON d.classid = 'pg_proc'::regclass AND f.oid = d.objid
                  UNION
                  SELECT 'policy', p.oid, p.xmin::text FROM readers d JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
                  UNION
                  SELECT 'trigger', g.oid, g.xmin::text FROM pg_trigger g WHERE g.tgrelid = live.oid AND NOT g.tgisinternal
                  UNION
                  SELECT 'index', i.oid, i.xmin::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = live.oid
                  UNION
                  SELECT 'statistics', e.oid, e.xmin::text FROM pg_statistic_ext e WHERE e.stxrelid = live.oid
                  UNION
                  SELECT 'publication', b.oid, b.xmin::text FROM pg_publication b JOIN pg_publication_rel r ON r.prpubid = b.oid WHERE r.prrelid = live.oid
                 ) AS v)))
  FROM live
