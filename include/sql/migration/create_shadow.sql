-- purpose: Create the partitioned table beside the source, with its columns, defaults, checks, storage, compression, and comments
-- params: none
-- returns: none
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because the caller looks whether it is there first
CREATE TABLE {shadow} (LIKE {source} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE
                       INCLUDING COMPRESSION INCLUDING COMMENTS)
    PARTITION BY RANGE ({partition_by})
