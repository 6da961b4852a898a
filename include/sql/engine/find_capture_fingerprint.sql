-- purpose: Reduce to one value all that must stay unchanged for a complete change log: both tables, partitions, files, columns, triggers, function, log; NULL if a part is missing
-- params: schema, live, standby, function, log, loss
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH names AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, name)) AS oid FROM unnest(ARRAY[%(live)s::text, %(standby)s::text]) AS name
), tables AS (
    SELECT oid FROM names
     UNION
    SELECT t.relid FROM names CROSS JOIN LATERAL pg_partition_tree(names.oid) AS t
)
SELECT CASE WHEN bool_and(coalesce(g.captured, false)) THEN md5(string_agg(concat_ws(',', tables.oid, pg_relation_filenode(tables.oid), a.versions, g.versions, f.version), ';' ORDER BY tables.oid) || l.versions) END
  FROM tables
 -- xmin of a catalog row reveals a trigger that was disabled for a while and is enabled again.
 CROSS JOIN LATERAL (SELECT count(DISTINCT concat_ws(',', t.tgtype, t.tgoldtable, t.tgnewtable)) FILTER (
                                 WHERE t.tgenabled = 'A' AND t.tgattr::text = ''
                                   AND concat_ws(',', t.tgtype, t.tgoldtable, t.tgnewtable) IN ('4,new_rows', '16,old_rows,new_rows', '8,old_rows', '34')) = 4 AS captured,
                            string_agg(concat_ws(':', t.oid, t.xmin), ',' ORDER BY t.oid) AS versions
                       FROM pg_trigger t
                      WHERE t.tgrelid = tables.oid AND t.tgfoid = to_regproc(%(function)s)) AS g
 CROSS JOIN LATERAL (SELECT string_agg(concat_ws(':', a.attnum, a.xmin), ',' ORDER BY a.attnum) AS versions
                       FROM pg_attribute a
                      WHERE a.attrelid = tables.oid AND a.attnum > 0) AS a
 CROSS JOIN (SELECT max(p.xmin::text) AS version FROM pg_proc p WHERE p.oid = to_regproc(%(function)s)) AS f
 -- A log that was truncated, or out of reach for a while, lacks keys; the mark of a loss may be absent then.
 CROSS JOIN (SELECT CASE WHEN count(*) = 2 THEN string_agg(concat_ws(':', c.oid, c.xmin, pg_relation_filenode(c.oid), n.xmin), ',' ORDER BY c.oid) END AS versions
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE c.oid IN (to_regclass(%(log)s), to_regclass(%(loss)s))) AS l
 GROUP BY l.versions
