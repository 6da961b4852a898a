-- purpose: Find a table by its unqualified name
-- params: name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT to_regclass(quote_ident(%(name)s))::oid AS found
