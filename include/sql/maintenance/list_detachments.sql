-- purpose: List what retention began to detach from a table and what of it still exists: attached, on its own, or of unknown end
-- params: parent
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
WITH noted AS MATERIALIZED (
    SELECT (detail->>'oid')::oid AS oid, detail->>'partition' AS partition, message
      FROM partition_playbook.events
     WHERE kind = 'note'
       AND message IN ('retention detaches', 'retention detached')
       AND detail->>'parent' = %(parent)s
)
SELECT n.nspname AS schema, c.relname AS name, c.relispartition AS attached, bool_or(noted.message = 'retention detached') AS detached
  FROM noted
  JOIN pg_class c ON c.oid = noted.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname || '.' || c.relname = noted.partition
 GROUP BY c.oid, n.nspname, c.relname, c.relispartition
 ORDER BY 1, 2
