-- purpose: Create a view of the metrics, or replace an earlier one
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the view
-- transaction: one
-- rerun: safe because it replaces the view
CREATE OR REPLACE VIEW {view} AS
{query};
COMMENT ON VIEW {view} IS {comment}
