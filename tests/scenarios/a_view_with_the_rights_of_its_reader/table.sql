CREATE ROLE scenario_invoker_reader;
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seen_at timestamptz NOT NULL, page text);
CREATE VIEW pages WITH (security_invoker, security_barrier = false) AS SELECT id, page FROM visits;
CREATE RECURSIVE VIEW steps (n, page) AS SELECT 1, page FROM visits UNION ALL SELECT n + 1, page FROM steps WHERE n < 2;
GRANT SELECT ON pages TO scenario_invoker_reader;
INSERT INTO visits (seen_at, page) SELECT moment, 'p' || n FROM pg_temp.moments(300);
