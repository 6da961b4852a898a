-- purpose: List the tables and sequences that this role cannot dump: no SELECT, or row security hides rows
-- params: ledger_schema
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.oid::regclass::text AS name, row_security_active(c.oid) AS filtered
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm', 'S')
   AND c.relpersistence <> 't'
   AND n.nspname <> %(ledger_schema)s
   AND n.nspname NOT LIKE 'pg\_%%'
   AND n.nspname <> 'information_schema'
   AND NOT (has_schema_privilege(n.oid, 'USAGE') AND NOT row_security_active(c.oid)
            AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END)
 ORDER BY 1
