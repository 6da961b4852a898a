-- purpose: Drop the change log, after those who hold it to add triggers, and the function that writes to it
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the change log
-- transaction: one
-- rerun: safe because what is gone already is passed over
DROP TABLE IF EXISTS {log};
DROP FUNCTION IF EXISTS {function}()
