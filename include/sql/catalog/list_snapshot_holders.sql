-- purpose: Describe the sessions of the database with a snapshot; literals are cut from statements, as they may be secret
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT a.pid,
       a.usename,
       a.application_name,
       -- The address is hidden from a role that may not see other sessions.
       CASE WHEN a.client_port = -1 THEN 'a local socket' ELSE host(a.client_addr) END AS client,
       date_trunc('milliseconds', clock_timestamp() - a.xact_start)::text AS age,
       left(btrim(regexp_replace(regexp_replace(regexp_replace(a.query, '[''$].*', '...'), '\m[0-9][\w.]*', '?', 'g'), '\s+', ' ', 'g')), 120) AS query
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid() AND a.datname = current_database() AND a.backend_xmin IS NOT NULL AND a.backend_type = 'client backend'
 ORDER BY a.xact_start
 LIMIT 20
