-- purpose: Create a plain table for a later ATTACH, with a CHECK constraint to spare its scan
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the shadow
-- transaction: one
-- rerun: safe because the caller checks first for the table
CREATE TABLE {partition} (LIKE {shadow} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE
                          INCLUDING COMPRESSION INCLUDING COMMENTS INCLUDING STATISTICS,
    CONSTRAINT partition_playbook_bounds CHECK ({bounds})) {options}
