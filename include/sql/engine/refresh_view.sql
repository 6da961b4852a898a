-- purpose: Refresh a new materialized view from the standby
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the materialized view, ACCESS SHARE on the tables of its query
-- transaction: one
-- rerun: safe because it replaces the content
REFRESH MATERIALIZED VIEW {view}
