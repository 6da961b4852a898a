-- purpose: Read the last value of the sequence that a column owns, NULL without one or without a right to read it
-- params: schema, name, column
-- returns: value
-- lock: ACCESS SHARE on the sequence
-- transaction: one
-- rerun: safe because it only reads
SELECT CASE WHEN has_sequence_privilege(s.oid, 'SELECT, USAGE') THEN pg_sequence_last_value(s.oid) END
  FROM (SELECT 1) AS one
  LEFT JOIN LATERAL (
        SELECT d.objid AS oid
          FROM pg_attribute a
          JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                          AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
          JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
         WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
           AND a.attname = %(column)s
         LIMIT 1) AS s ON true
