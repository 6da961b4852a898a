-- purpose: Read the size of a table in bytes, with indexes and TOAST
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_total_relation_size(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)))
