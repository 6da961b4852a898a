-- purpose: Read the oid of a table; it identifies the table after a rename
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid::bigint
