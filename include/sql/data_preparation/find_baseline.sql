-- purpose: Read rows, range and sizes in bytes of a table before the migration
-- params: schema, name
-- returns: row
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS rows,
       min({ordered})::text AS oldest,
       max({ordered})::text AS newest,
       pg_table_size(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS table_bytes,
       pg_total_relation_size(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS total_bytes
  FROM {table}
