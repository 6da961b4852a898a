-- purpose: Check that a materialized view is populated
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT c.relispopulated FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
