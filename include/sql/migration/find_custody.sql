-- purpose: Reduce to one value what must not change if every write is to be in the change log: both tables, their partitions, their files and columns, and the capture's triggers; null where a trigger is missing
-- params: schema, live, standby, function
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
SELECT CASE WHEN bool_and(coalesce(g.captured, false)) THEN md5(string_agg(concat_ws(',', tables.oid, pg_relation_filenode(tables.oid), a.versions, g.versions, f.version), ';' ORDER BY tables.oid)) END
  FROM tables
 -- The version of a catalog row tells that a trigger was disabled for a while, although it is enabled now.
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE t.tgenabled = 'A') = 4 AS captured, string_agg(concat_ws(':', t.oid, t.xmin), ',' ORDER BY t.oid) AS versions
                       FROM pg_trigger t
                      WHERE t.tgrelid = tables.oid AND t.tgfoid = to_regproc(%(function)s)) AS g
 CROSS JOIN LATERAL (SELECT string_agg(concat_ws(':', a.attnum, a.xmin), ',' ORDER BY a.attnum) AS versions
                       FROM pg_attribute a
                      WHERE a.attrelid = tables.oid AND a.attnum > 0) AS a
 CROSS JOIN (SELECT max(p.xmin::text) AS version FROM pg_proc p WHERE p.oid = to_regproc(%(function)s)) AS f
