-- purpose: Count the recorded COPY statements of pg_dump, of a table and of its neighbours, and the neighbours with rows
-- params: schema, name, ledger_schema
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FILTER (WHERE d.own) AS own,
       count(*) FILTER (WHERE NOT d.own) AS others,
       (SELECT count(*)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', %(ledger_schema)s)
           AND (n.nspname, c.relname) <> (%(schema)s::text, %(name)s::text)) AS neighbours
  FROM (SELECT starts_with(s.query, format('COPY %%I.%%I (', %(schema)s::text, %(name)s::text)) AS own
          FROM {statements} s
          JOIN pg_database b ON b.oid = s.dbid AND b.datname = current_database()
         WHERE s.query LIKE 'COPY %%.%% (%%) TO stdout%%') AS d
