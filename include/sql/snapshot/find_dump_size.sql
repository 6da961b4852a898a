-- purpose: Estimate the size of a dump by the tables of the database without their indexes; the ledger is not dumped
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT sum(pg_table_size(c.oid))::bigint
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'partition_playbook')
