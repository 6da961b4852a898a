-- purpose: Read the server's clock, the type of the partition column, the last ANALYZE of a table, the remains of a migration, and the time of its last event in the ledger
-- params: schema, name, column, retired, prefix
-- returns: row
-- lock: ACCESS SHARE on runs and events
-- transaction: one
-- rerun: safe because it only reads
WITH table_ AS (
    SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) AS oid
)
SELECT clock_timestamp() AS clock,
       (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
         WHERE a.attrelid = table_.oid AND a.attname = %(column)s) AS column_type,
       (SELECT greatest(s.last_analyze, s.last_autoanalyze) FROM pg_stat_all_tables s WHERE s.relid = table_.oid) AS analyzed_at,
       to_regclass(format('%%I.%%I', %(schema)s::text, %(retired)s::text)) IS NOT NULL AS retired,
       EXISTS (SELECT FROM pg_trigger t
                WHERE t.tgrelid = table_.oid AND NOT t.tgisinternal AND starts_with(t.tgname, %(prefix)s)) AS captured,
       (SELECT max(e.happened_at)
          FROM partition_playbook.runs r
          JOIN partition_playbook.events e USING (run_id)
         WHERE r.table_schema = %(schema)s AND r.table_name = %(name)s) AS last_event
  FROM table_
