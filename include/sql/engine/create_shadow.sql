-- purpose: Create the partitioned table with the source's columns, defaults, checks, storage, compression and comments
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because the caller checks first for the table
CREATE TABLE {shadow} (LIKE {source} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE
                       INCLUDING COMPRESSION INCLUDING COMMENTS)
    PARTITION BY RANGE ({partition_by})
