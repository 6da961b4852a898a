-- purpose: List the missing grants of this role on a table and on everything used by its rows and keys
-- params: schema, name, inserts
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH source AS (
    SELECT c.oid, c.relnamespace
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = %(name)s
), keys AS (
    SELECT k.confrelid, k.confkey FROM source c JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid <> c.oid
     -- The partitions of a referenced table need no grant.
     WHERE NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)
), types AS (
    SELECT t.oid, t.typnamespace
      FROM source c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
), functions AS (
    -- Defaults, generated columns, checks and indexes call these functions for every copied row.
    SELECT p.oid, p.pronamespace
      FROM source c
      JOIN pg_depend d ON (d.classid, d.objid) IN (SELECT 'pg_attrdef'::regclass::oid, a.oid FROM pg_attrdef a WHERE a.adrelid = c.oid
                                                   UNION ALL
                                                   SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k WHERE k.conrelid = c.oid
                                                   UNION ALL
                                                   SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid)
      JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
), sequences AS MATERIALIZED (
    -- Only new rows need sequences: a copy names every column. MATERIALIZED, because has_sequence_privilege fails for other relations.
    SELECT s.oid
      FROM source c
      JOIN pg_attrdef a ON a.adrelid = c.oid
      JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
      JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND s.oid = d.refobjid AND s.relkind = 'S'
     WHERE %(inserts)s
), heaps AS (
    SELECT oid FROM source
    UNION
    SELECT r.ev_class
      FROM source c
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_rewrite r ON r.oid = d.objid
      JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'm'
), tablespaces AS (
    -- The default tablespace of the database is 0 in the catalog and needs no grant.
    SELECT DISTINCT t.oid, t.spcname
      FROM heaps h
      JOIN pg_class c ON c.oid = h.oid OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = h.oid)
      JOIN pg_tablespace t ON t.oid = c.reltablespace
)
SELECT 1 AS place, p AS privilege, 'TABLE' AS kind, c.oid::regclass::text AS name
  FROM source c CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'DELETE', 'TRIGGER']) AS p
 WHERE NOT has_table_privilege(c.oid, p)
UNION
SELECT 2, p, 'TABLE', k.confrelid::regclass::text
  FROM keys k CROSS JOIN unnest(ARRAY['SELECT', 'REFERENCES']) AS p
 WHERE NOT has_table_privilege(k.confrelid, p)
   AND EXISTS (SELECT FROM unnest(k.confkey) u WHERE NOT has_column_privilege(k.confrelid, u, p))
UNION
SELECT 3, 'EXECUTE', 'FUNCTION', f.oid::regprocedure::text FROM functions f WHERE NOT has_function_privilege(f.oid, 'EXECUTE')
UNION
SELECT 4, 'USAGE', 'TYPE', t.oid::regtype::text FROM types t WHERE NOT has_type_privilege(t.oid, 'USAGE')
UNION
SELECT 5, 'USAGE', 'SCHEMA', quote_ident(n.nspname)
  FROM pg_namespace n
 WHERE n.oid IN (SELECT relnamespace FROM source
                 UNION ALL SELECT r.relnamespace FROM keys k JOIN pg_class r ON r.oid = k.confrelid
                 UNION ALL SELECT typnamespace FROM types
                 UNION ALL SELECT pronamespace FROM functions)
   AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION
SELECT 6, 'CREATE', 'SCHEMA', quote_ident(%(schema)s) FROM source c WHERE NOT has_schema_privilege(c.relnamespace, 'CREATE')
UNION
SELECT 7, 'USAGE', 'SEQUENCE', s.oid::regclass::text FROM sequences s WHERE NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE')
UNION
SELECT 8, 'CREATE', 'TABLESPACE', quote_ident(t.spcname) FROM tablespaces t WHERE NOT has_tablespace_privilege(t.oid, 'CREATE')
 ORDER BY 1, 4, 2
