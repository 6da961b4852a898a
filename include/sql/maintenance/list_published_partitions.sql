-- purpose: List the publications that name partitions of a table and not the table itself, each with these partitions
-- params: schema, name
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT p.pubname AS name, json_agg(json_build_array(n.nspname, c.relname)) AS partitions
  FROM pg_class parent
  JOIN pg_namespace pn ON pn.oid = parent.relnamespace
  JOIN pg_inherits i ON i.inhparent = parent.oid
  JOIN pg_class c ON c.oid = i.inhrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_publication_rel r ON r.prrelid = c.oid
  JOIN pg_publication p ON p.oid = r.prpubid
 WHERE pn.nspname = %(schema)s AND parent.relname = %(name)s
   AND NOT EXISTS (SELECT FROM pg_publication_rel own WHERE own.prpubid = p.oid AND own.prrelid = parent.oid)
 GROUP BY p.pubname
 ORDER BY p.pubname
