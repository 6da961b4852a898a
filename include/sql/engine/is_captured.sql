-- purpose: Check that a table has the four triggers of a capture function, for all rows, and enabled ALWAYS
-- params: schema, name, function
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT count(DISTINCT concat_ws(',', tgtype, tgoldtable, tgnewtable)) = 4
  FROM pg_trigger
 WHERE tgrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND tgfoid = to_regproc(%(function)s)
   AND tgenabled = 'A'
   AND tgattr::text = ''
   -- After INSERT, UPDATE, DELETE and before TRUNCATE, each for a statement.
   AND concat_ws(',', tgtype, tgoldtable, tgnewtable) IN ('4,new_rows', '16,old_rows,new_rows', '8,old_rows', '34')
