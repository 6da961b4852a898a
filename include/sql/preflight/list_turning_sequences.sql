-- purpose: List the sequences that a column owns whose values go down or start again
-- params: schema, name, column
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT s.seqrelid::regclass::text AS name,
       'whose sequence ' || s.seqrelid::regclass::text
       || CASE WHEN s.seqincrement < 0 THEN ' goes down' ELSE ' starts again at its end (CYCLE)' END AS problem
  FROM pg_attribute a
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                  AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
  JOIN pg_sequence s ON s.seqrelid = d.objid
 WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND a.attname = %(column)s
   AND (s.seqincrement < 0 OR s.seqcycle)
