-- purpose: Drop the change log, then its trigger functions; sessions with a lock to add triggers are waited for
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because of IF EXISTS
DROP TABLE IF EXISTS {log};
DROP FUNCTION IF EXISTS {function}();
DROP FUNCTION IF EXISTS {guard}()
