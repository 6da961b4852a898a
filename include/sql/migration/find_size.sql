-- purpose: Read how many bytes a table takes with its indexes and its toast
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_total_relation_size(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)))
