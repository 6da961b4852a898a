-- purpose: List the publications of all tables or of a schema that publish a table, and would publish its copies too
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT t.pubname AS name
  FROM pg_publication_tables t
  JOIN pg_publication p ON p.pubname = t.pubname
 WHERE t.schemaname = %(schema)s
   AND t.tablename = ANY (%(names)s)
   AND NOT EXISTS (SELECT FROM pg_publication_rel r
                     JOIN pg_class c ON c.oid = r.prrelid
                    WHERE r.prpubid = p.oid AND c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relname = ANY (%(names)s))
 ORDER BY 1
