-- purpose: Drop the scratch database of a restore check
-- params: none
-- returns: none
-- lock: none
-- transaction: none
-- rerun: safe because what is gone already is passed over
DROP DATABASE IF EXISTS {scratch} {force}
