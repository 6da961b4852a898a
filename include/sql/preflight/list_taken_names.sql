-- purpose: List the schema-qualified names already taken by relations, types or extended statistics
-- params: schemas, names, statistics_schemas, statistics_names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT format('%%s.%%s', n.nspname, c.relname) AS name
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS planned (schema, name)
  JOIN pg_namespace n ON n.nspname = planned.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = planned.name
UNION
SELECT format('%%s.%%s', n.nspname, t.typname)
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS planned (schema, name)
  JOIN pg_namespace n ON n.nspname = planned.schema
  JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = planned.name
UNION
SELECT format('%%s.%%s', n.nspname, e.stxname)
  FROM unnest(%(statistics_schemas)s::text[], %(statistics_names)s::text[]) AS planned (schema, name)
  JOIN pg_namespace n ON n.nspname = planned.schema
  JOIN pg_statistic_ext e ON e.stxnamespace = n.oid AND e.stxname = planned.name
 ORDER BY 1
