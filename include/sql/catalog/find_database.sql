-- purpose: Read the name and the oid of the database, and whether the role may read the identifier of its system
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT datname::text AS database_name,
       oid::bigint AS database_oid,
       has_function_privilege('pg_control_system()', 'EXECUTE') AS sees_system
  FROM pg_database
 WHERE datname = current_database()
