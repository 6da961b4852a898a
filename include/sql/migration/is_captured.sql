-- purpose: Tell whether every write to a table is captured: all four triggers are there and fire for everybody
-- params: schema, name
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) = 4
  FROM pg_trigger
 WHERE tgrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))
   AND tgname = ANY (ARRAY['partition_playbook_insert', 'partition_playbook_update', 'partition_playbook_delete', 'partition_playbook_truncate'])
   AND tgenabled = 'A'
