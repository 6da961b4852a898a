-- purpose: Read the session's search path
-- params: none
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT current_setting('search_path')
