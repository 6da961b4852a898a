CREATE ROLE scenario_curious;
CREATE TABLE salaries (id bigint PRIMARY KEY, paid_at timestamptz NOT NULL);
INSERT INTO salaries SELECT n, moment FROM pg_temp.moments(100);
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO scenario_curious;
