-- purpose: Drop the scratch database of a restore check
-- params: none
-- returns: none
-- lock: none
-- transaction: none
-- rerun: safe because of IF EXISTS
DROP DATABASE IF EXISTS {scratch} {force}
