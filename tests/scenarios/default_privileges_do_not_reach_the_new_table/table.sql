CREATE ROLE scenario_curious;
CREATE TABLE salaries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, paid_at timestamptz NOT NULL);
INSERT INTO salaries (paid_at) SELECT moment FROM pg_temp.moments(300);
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO scenario_curious;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO scenario_curious;
