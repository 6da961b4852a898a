-- purpose: List the subscriptions of pglogical or spock that fill one of several tables, or whose tables are unknown
-- params: schema, names
-- returns: rows
-- lock: ACCESS SHARE on the extension's catalogs
-- transaction: one
-- rerun: safe because it only reads
WITH names AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, name)) AS oid FROM unnest(%(names)s::text[]) AS name
), tables AS (
    SELECT oid FROM names WHERE oid IS NOT NULL
     UNION
    SELECT t.relid FROM names CROSS JOIN LATERAL pg_partition_tree(names.oid) AS t
)
SELECT s.sub_name::text AS name
  FROM {subscription} s
  -- A subscription without the copy of existing rows lists no table, and may fill any.
  LEFT JOIN {status} t ON t.sync_subid = s.sub_id AND t.sync_relname IS NOT NULL
 GROUP BY s.sub_name
HAVING count(t.sync_relname) = 0
    OR bool_or((t.sync_nspname, t.sync_relname) IN (SELECT n.nspname, c.relname FROM tables JOIN pg_class c ON c.oid = tables.oid JOIN pg_namespace n ON n.oid = c.relnamespace))
 ORDER BY 1
