-- purpose: Find the parts of an exclusion on a default partition: a valid constraint, any constraint, its index, its function
-- params: schema, name, index, function
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(bool_or(k.convalidated), false) AS valid,
       count(k.oid) > 0 AS constrained,
       to_regclass(%(index)s) IS NOT NULL AS indexed,
       to_regproc(%(function)s) IS NOT NULL AS switched
  FROM pg_constraint k
 WHERE k.conname = 'partition_playbook_excluded'
   AND k.conrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
