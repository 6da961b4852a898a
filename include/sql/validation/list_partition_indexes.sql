-- purpose: List every index of a partitioned table with its attached index in each partition
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT ic.relname AS parent_index,
       px.indisvalid AS parent_valid,
       p.relname AS partition,
       child.name AS child_index,
       coalesce(child.valid, false) AS child_valid
  FROM pg_index px
  JOIN pg_class ic ON ic.oid = px.indexrelid
  JOIN pg_inherits i ON i.inhparent = px.indrelid
  JOIN pg_class p ON p.oid = i.inhrelid
  LEFT JOIN LATERAL (SELECT cc.relname AS name, x.indisvalid AND x.indisready AS valid
                       FROM pg_inherits ii
                       JOIN pg_index x ON x.indexrelid = ii.inhrelid
                       JOIN pg_class cc ON cc.oid = x.indexrelid
                      WHERE ii.inhparent = px.indexrelid AND x.indrelid = p.oid) AS child ON true
 WHERE px.indrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
 ORDER BY ic.relname, p.relname
