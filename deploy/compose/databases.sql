-- Airflow's database, and the application's: its tables belong to a role without a login.
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
ALTER DATABASE airflow SET idle_in_transaction_session_timeout = '60s';
REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;

CREATE ROLE app;
CREATE DATABASE staging OWNER app;
\connect staging
CREATE EXTENSION pg_stat_statements;
SET ROLE app;
\ir :schema
RESET ROLE;

-- The playbook's role, with the grants of the README. It is no superuser.
CREATE ROLE partition_playbook LOGIN CREATEDB PASSWORD :'playbook_password';
GRANT app TO partition_playbook;
GRANT USAGE, CREATE ON SCHEMA public TO app;
GRANT SELECT, REFERENCES ON units, devices TO partition_playbook;
CREATE SCHEMA partition_playbook AUTHORIZATION partition_playbook;
GRANT pg_read_all_data TO partition_playbook;
GRANT pg_read_all_stats TO partition_playbook;
