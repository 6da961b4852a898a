-- purpose: Create the default partition, for rows outside every bound
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the shadow, not in use yet
-- transaction: one
-- rerun: safe because the caller checks first for the partition
CREATE TABLE {partition} PARTITION OF {shadow} DEFAULT {options} {tablespace}
