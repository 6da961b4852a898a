-- purpose: List those of the tables without the four triggers of a capture function, for all rows, and enabled ALWAYS
-- params: tables, function
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT each.name
  FROM unnest(%(tables)s::text[]) AS each (name)
 WHERE 4 > (SELECT count(DISTINCT concat_ws(',', tgtype, tgoldtable, tgnewtable))
              FROM pg_trigger
             WHERE tgrelid = to_regclass(each.name)
               AND tgfoid = to_regproc(%(function)s)
               AND tgenabled = 'A'
               AND tgattr::text = ''
               -- After INSERT, UPDATE, DELETE and before TRUNCATE, each for a statement.
               AND concat_ws(',', tgtype, tgoldtable, tgnewtable) IN ('4,new_rows', '16,old_rows,new_rows', '8,old_rows', '34'))
