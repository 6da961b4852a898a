-- purpose: Read the name and the oid of the database
-- params: none
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT datname::text AS database_name,
       oid::bigint AS database_oid
  FROM pg_database
 WHERE datname = current_database()
