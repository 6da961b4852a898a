-- purpose: Read the attributes of this role, and its privileges on the owner of the table, the database and the schema of the ledger
-- params: schema, name, ledger_schema
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_user::text AS role,
       r.rolsuper AS superuser,
       r.rolinherit AS inherits,
       r.rolcreatedb OR r.rolsuper AS createdb,
       pg_get_userbyid(c.relowner) AS owner,
       pg_has_role(c.relowner, 'USAGE') AS uses_owner,
       pg_has_role(c.relowner, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS becomes_owner,
       has_schema_privilege(c.relowner, n.oid, 'USAGE') AND has_schema_privilege(c.relowner, n.oid, 'CREATE') AS owner_creates_in_schema,
       row_security_active(c.oid) AS filtered,
       has_database_privilege(current_database(), 'CREATE') AS creates_schemas,
       l.oid IS NOT NULL AS ledger_exists,
       coalesce(has_schema_privilege(l.oid, 'USAGE') AND has_schema_privilege(l.oid, 'CREATE'), false) AS uses_ledger,
       coalesce((SELECT bool_and(has_table_privilege(t.oid, 'SELECT') AND has_table_privilege(t.oid, 'INSERT') AND has_table_privilege(t.oid, 'UPDATE'))
                   FROM pg_class t WHERE t.relnamespace = l.oid AND t.relkind = 'r'
                    AND t.relname IN ('runs', 'loads', 'statistics', 'measurements', 'checks', 'events', 'reports')), true) AS writes_ledger,
       pg_has_role('pg_read_all_stats', 'USAGE') AS reads_statistics
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_roles r ON r.rolname = current_user
  LEFT JOIN pg_namespace l ON l.nspname = %(ledger_schema)s
 WHERE n.nspname = %(schema)s AND c.relname = %(name)s
