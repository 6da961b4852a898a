-- purpose: List the existing partitions that retention began to detach from a table: attached or not, detached or unknown, since, bounds, kept, last archive
-- params: parent
-- returns: rows
-- lock: ACCESS SHARE on events
-- transaction: one
-- rerun: safe because it only reads
WITH noted AS MATERIALIZED (
    SELECT event_id, happened_at, detail, (detail->>'oid')::oid AS oid, message = 'retention archived' AS archived, message = 'retention detached' AS detached
      FROM partition_playbook.events
     WHERE kind = 'note'
       AND message IN ('retention detaches', 'retention detached', 'retention archived')
       AND detail->>'parent' = %(parent)s
)
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relispartition AS attached, bool_or(noted.detached) AS detached,
       max(noted.happened_at) FILTER (WHERE NOT noted.archived) AS since,
       (array_agg(noted.detail->>'bound' ORDER BY noted.event_id DESC) FILTER (WHERE NOT noted.archived))[1] AS bound,
       coalesce((array_agg((noted.detail->>'kept')::boolean ORDER BY noted.event_id DESC) FILTER (WHERE noted.detail ? 'kept'))[1], false) AS kept,
       (array_agg(noted.detail ORDER BY noted.event_id DESC) FILTER (WHERE noted.archived))[1] AS archive
  FROM noted
  JOIN pg_class c ON c.oid = noted.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname || '.' || c.relname = noted.detail->>'partition'
 GROUP BY c.oid, n.nspname, c.relname, c.relispartition
 ORDER BY 2, 3
