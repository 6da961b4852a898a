-- purpose: List the subscriptions that fill one of several tables or of their partitions
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH names AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, name)) AS oid FROM unnest(%(names)s::text[]) AS name
), tables AS (
    SELECT oid FROM names WHERE oid IS NOT NULL
     UNION
    SELECT t.relid FROM names CROSS JOIN LATERAL pg_partition_tree(names.oid) AS t
)
SELECT format('subscription %%s fills %%s', s.subname, tables.oid::regclass) AS writer
  FROM tables
  JOIN pg_subscription_rel r ON r.srrelid = tables.oid
  JOIN pg_subscription s ON s.oid = r.srsubid
 ORDER BY 1
