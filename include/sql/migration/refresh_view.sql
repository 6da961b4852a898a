-- purpose: Fill a materialized view that nobody reads yet from the table that stands by
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the materialized view, ACCESS SHARE on what it reads
-- transaction: one
-- rerun: safe because it is filled anew
REFRESH MATERIALIZED VIEW {view}
