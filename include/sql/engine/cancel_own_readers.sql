-- purpose: Cancel the playbook's own reads of the table and its sides that a rollback would wait for; the application's are left alone
-- params: schema, names
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because a cancelled read is gone
WITH tables (oid) AS (
    SELECT c.oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = ANY (%(names)s)
), involved (oid) AS (
    SELECT oid FROM tables
     UNION SELECT inhrelid FROM pg_inherits JOIN tables ON inhparent = tables.oid
)
SELECT a.pid, a.application_name AS application, pg_cancel_backend(a.pid) AS cancelled
  FROM pg_stat_activity a
 WHERE a.datname = current_database()
   AND a.usesysid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
   AND a.application_name LIKE 'partition\_playbook%%'
   AND a.application_name NOT IN ('partition_playbook console', current_setting('application_name'))
   AND a.pid <> pg_backend_pid()
   AND a.state = 'active'
   AND EXISTS (SELECT FROM pg_locks l JOIN involved ON l.relation = involved.oid WHERE l.pid = a.pid AND l.granted)
   -- One that writes or swaps has a stronger lock, and ends by itself soon.
   AND NOT EXISTS (SELECT
                     FROM pg_locks l JOIN involved ON l.relation = involved.oid
                    WHERE l.pid = a.pid AND l.mode <> 'AccessShareLock')
