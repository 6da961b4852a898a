-- purpose: Read the comment of each view of the metrics, and if this role may create or replace it
-- params: views
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT asked.name,
       obj_description(c.oid, 'pg_class') AS comment,
       has_schema_privilege('partition_playbook', 'CREATE') AND (c.oid IS NULL OR pg_has_role(c.relowner, 'USAGE')) AS may_replace
  FROM unnest(%(views)s::text[]) AS asked (name)
  LEFT JOIN pg_class c ON c.relname = asked.name
                      AND c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'partition_playbook')
