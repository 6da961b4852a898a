-- purpose: Read the server's clock, when a table was analyzed last, and what of a migration still hangs on it
-- params: schema, name, retired, prefix
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH table_ AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AS oid
)
SELECT clock_timestamp() AS clock,
       (SELECT greatest(s.last_analyze, s.last_autoanalyze) FROM pg_stat_all_tables s WHERE s.relid = table_.oid) AS analyzed_at,
       to_regclass(format('%%I.%%I', %(schema)s::text, %(retired)s::text)) IS NOT NULL AS retired,
       EXISTS (SELECT FROM pg_trigger t
                WHERE t.tgrelid = table_.oid AND NOT t.tgisinternal AND starts_with(t.tgname, %(prefix)s)) AS captured
  FROM table_
