-- purpose: Read the size of the server's lock table, and whether a table has a TOAST table
-- params: schema, name
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('max_locks_per_transaction')::int AS per_slot,
       current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int AS slots,
       (SELECT c.reltoastrelid <> 0 FROM pg_class c WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS toasted
