-- purpose: Find out if a table is a hypertable of TimescaleDB or a table of Citus, by what their extensions put on it
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AS oid
)
SELECT 'hypertable' AS kind
  FROM source
 WHERE EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE i.inhparent = source.oid AND n.nspname = '_timescaledb_internal')
    OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = source.oid AND t.tgname = 'ts_insert_blocker')
UNION
SELECT 'citus'
  FROM source
  JOIN pg_trigger t ON t.tgrelid = source.oid
  JOIN pg_proc p ON p.oid = t.tgfoid
 WHERE p.proname = 'citus_truncate_trigger'
 ORDER BY 1
