-- purpose: Count the blocks of a table
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT pg_relation_size(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) / current_setting('block_size')::bigint
