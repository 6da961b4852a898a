-- purpose: Find the run with a shadow, capture or retired table still in place
-- params: table_schema, table_name
-- returns: rows
-- lock: ACCESS SHARE on runs
-- transaction: one
-- rerun: safe because it only reads
SELECT *
  FROM partition_playbook.runs
 WHERE table_schema = %(table_schema)s
   AND table_name = %(table_name)s
   AND phase IN ('shadowed', 'attached', 'live', 'rolled_back')
 ORDER BY started_at DESC
 LIMIT 1
