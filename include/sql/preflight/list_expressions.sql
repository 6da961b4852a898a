-- purpose: List the expressions evaluated for every row of a table: CHECK constraints, generated columns, indexed expressions and predicates
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT c.oid FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
)
SELECT pg_get_expr(k.conbin, k.conrelid) AS expression
  FROM source c JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'c'
UNION
SELECT pg_get_expr(d.adbin, d.adrelid)
  FROM source c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attgenerated <> '' JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
UNION
SELECT pg_get_indexdef(i.indexrelid, position.number, false)
  FROM source c
  JOIN pg_index i ON i.indrelid = c.oid
 CROSS JOIN LATERAL generate_subscripts(i.indkey, 1) AS subscript
 CROSS JOIN LATERAL (SELECT subscript + 1 AS number) AS position
 WHERE i.indkey[subscript] = 0
UNION
SELECT pg_get_expr(i.indpred, i.indrelid)
  FROM source c JOIN pg_index i ON i.indrelid = c.oid
 WHERE i.indpred IS NOT NULL
 ORDER BY 1
