-- purpose: Read the server's clock and when a table was analyzed last
-- params: schema, name
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT clock_timestamp() AS clock,
       (SELECT greatest(s.last_analyze, s.last_autoanalyze)
          FROM pg_stat_all_tables s
         WHERE s.relid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS analyzed_at
