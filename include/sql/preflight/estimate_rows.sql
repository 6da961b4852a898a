-- purpose: Read the estimated number of rows of a table
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT greatest(c.reltuples, 0)::bigint FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
