-- purpose: List the event triggers that fire on the statements of a migration
-- params: none
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT evtname || ' on ' || evtevent AS name
  FROM pg_event_trigger
 WHERE evtenabled IN ('O', 'A') AND evtevent <> 'login'
 ORDER BY 1
