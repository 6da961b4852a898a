-- purpose: Read a view's query, with names qualified as the search path requires
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT rtrim(pg_get_viewdef(to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))), ';')
