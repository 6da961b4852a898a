-- purpose: Drop the change log and the function that writes to it
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because what is gone already is passed over
DROP FUNCTION IF EXISTS {function}();
DROP TABLE IF EXISTS {log}
