-- purpose: Tell whether an inserted row refers to no row; nothing is found if a trigger has changed it since
-- params: partition, place
-- returns: rows
-- lock: ACCESS SHARE on both tables
-- transaction: one
-- rerun: safe because it only reads
SELECT NOT EXISTS (SELECT FROM {referenced} AS r WHERE {match}) AS orphan
  FROM {table} AS t
 WHERE t.tableoid = %(partition)s AND t.ctid = %(place)s::tid
