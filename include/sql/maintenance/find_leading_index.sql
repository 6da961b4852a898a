-- purpose: Find out if a valid btree index of all rows of a table begins with a column
-- params: schema, name, column
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT EXISTS (SELECT
                 FROM pg_index i
                 JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                 JOIN pg_class c ON c.oid = i.indexrelid
                 JOIN pg_am m ON m.oid = c.relam
                WHERE i.indrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
                  AND a.attname = %(column)s AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree')
