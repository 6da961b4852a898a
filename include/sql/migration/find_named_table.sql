-- purpose: Find the table that a name alone leads to
-- params: name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT to_regclass(quote_ident(%(name)s))::oid AS found
