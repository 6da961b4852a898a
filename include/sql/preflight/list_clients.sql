-- purpose: Count the sessions of this database by application_name and role, without those of the playbook
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT coalesce(a.application_name, '') AS application, coalesce(a.usename, '')::text AS role, count(*)::int AS sessions
  FROM pg_stat_activity a
 WHERE a.datname = current_database()
   AND coalesce(a.backend_type, 'client backend') IN ('client backend', 'walsender')
   AND NOT starts_with(coalesce(a.application_name, ''), 'partition_playbook')
 GROUP BY 1, 2
 ORDER BY 1, 2
