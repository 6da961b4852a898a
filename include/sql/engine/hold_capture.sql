-- purpose: Keep the capture function from being dropped until new triggers for it are committed
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only locks
LOCK TABLE ONLY {log} IN ACCESS SHARE MODE
