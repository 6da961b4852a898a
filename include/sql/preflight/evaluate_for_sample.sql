-- purpose: Evaluate an expression for some rows; its values are bytes, which no output format changes
-- params: places
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT concat_ws(' ', {alias}.ctid::text, {alias}.xmin::text) AS place, md5(record_send(ROW(({expression})))) AS value
  FROM {source} AS {alias}
 WHERE {alias}.ctid = ANY (%(places)s::tid[])
