-- purpose: List the unique indexes of a table: the expression of each element with the operator that the index is unique by
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT ic.relname AS name,
       coalesce(pg_get_expr(x.indpred, x.indrelid), '') AS predicate,
       e.elements AS elements,
       -- Rows are not looked up by an index with a reference to the whole row, with NULLs that are equal, or by a rule that only the index has.
       am.amname = 'btree' AND e.known
           AND coalesce(to_jsonb(x) ->> 'indnullsnotdistinct', 'false') = 'false'
           AND concat_ws(' ', x.indexprs::text, x.indpred::text) NOT LIKE '%%:varattno 0 %%' AS searchable
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_index x ON x.indrelid = c.oid AND x.indisunique AND x.indisready
  JOIN pg_class ic ON ic.oid = x.indexrelid
  JOIN pg_am am ON am.oid = ic.relam
 CROSS JOIN LATERAL (
       SELECT json_agg(json_build_object('expression', pg_get_indexdef(x.indexrelid, position, false),
                                         'column', coalesce(a.attname, ''),
                                         'equals', format('OPERATOR(%%I.%%s)', pn.nspname, po.oprname))
                       ORDER BY position) AS elements,
              count(po.oid) = x.indnkeyatts
                  AND bool_and(x.indcollation[position - 1] = 0 OR co.collisdeterministic OR a.attcollation = x.indcollation[position - 1]) AS known
         FROM generate_series(1, x.indnkeyatts) AS position
         LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[position - 1] AND a.attnum > 0
         LEFT JOIN pg_collation co ON co.oid = x.indcollation[position - 1]
         LEFT JOIN pg_opclass oc ON oc.oid = x.indclass[position - 1]
         LEFT JOIN pg_amop ao ON ao.amopfamily = oc.opcfamily AND ao.amopstrategy = 3
                             AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
         LEFT JOIN pg_operator po ON po.oid = ao.amopopr
         LEFT JOIN pg_namespace pn ON pn.oid = po.oprnamespace) AS e
 WHERE n.nspname = %(schema)s AND c.relname = %(name)s
 ORDER BY ic.relname
