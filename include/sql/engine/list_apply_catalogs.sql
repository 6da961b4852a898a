-- purpose: List the catalogs of replication extensions whose apply workers fire no statement triggers
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT n.nspname AS schema, c.relname AS name, known.subscriptions,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
  FROM (VALUES ('pglogical', 'local_sync_status', 'subscription'), ('spock', 'local_sync_status', 'subscription'),
               ('bdr', 'bdr_nodes', ''), ('bdr', 'node', ''), ('pgactive', 'pgactive_nodes', '')) AS known (schema, name, subscriptions)
  JOIN pg_namespace n ON n.nspname = known.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = known.name
 ORDER BY 1, 2
