-- Where the sequences of a table's columns stand, counted in the direction in which they go.
SELECT c.relname::text, pg_sequence_last_value(s.seqrelid) * sign(s.seqincrement)::bigint
  FROM pg_class t
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_depend x ON x.refclassid = 'pg_class'::regclass AND x.refobjid = t.oid AND x.classid = 'pg_class'::regclass
   AND x.deptype IN ('a', 'i')
  JOIN pg_sequence s ON s.seqrelid = x.objid
  JOIN pg_class c ON c.oid = s.seqrelid
 WHERE n.nspname = %(schema)s AND t.relname = %(name)s
