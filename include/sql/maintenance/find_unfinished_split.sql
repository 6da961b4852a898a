-- purpose: Find the staging tables of interrupted splits by the oids noted in the ledger
-- params: parent
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
SELECT DISTINCT n.nspname AS schema, c.relname AS name, e.detail->>'default' AS "default"
  FROM partition_playbook.events e
  JOIN pg_class c ON c.oid = (e.detail->>'oid')::oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE e.kind = 'note'
   AND e.message = 'split begun'
   AND e.detail->>'parent' = %(parent)s
   AND n.nspname || '.' || c.relname = e.detail->>'staging'
