-- purpose: Read if a table has a foreign key of this name, and if it is validated
-- params: schema, table, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT convalidated AS validated
  FROM pg_constraint
 WHERE contype = 'f'
   AND conname = %(name)s
   AND conrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
