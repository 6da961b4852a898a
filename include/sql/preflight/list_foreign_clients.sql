-- purpose: List the sessions of postgres_fdw in this database: it may tell rows apart by ctid alone
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT a.pid, a.usename, a.application_name, CASE WHEN a.client_port = -1 THEN 'a local socket' ELSE host(a.client_addr) END AS client
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND a.application_name LIKE 'postgres_fdw%'
 ORDER BY 1
