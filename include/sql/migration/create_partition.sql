-- purpose: Create a plain table that can become a partition; the check of its bounds spares ATTACH a scan
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the shadow
-- transaction: one
-- rerun: safe because the caller looks whether it is there first
CREATE TABLE {partition} (LIKE {shadow} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE
                          INCLUDING COMPRESSION INCLUDING COMMENTS INCLUDING STATISTICS,
    CONSTRAINT partition_playbook_bounds CHECK ({bounds})) {options}
