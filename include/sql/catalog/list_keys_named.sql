-- purpose: List those of the tables that have a foreign key of this name, and if it is validated
-- params: tables, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT each.name, k.convalidated AS validated
  FROM unnest(%(tables)s::text[]) AS each (name)
  JOIN pg_constraint k ON k.conrelid = to_regclass(each.name)
 WHERE k.contype = 'f' AND k.conname = %(name)s
