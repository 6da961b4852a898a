-- purpose: Create the partition that takes the rows outside every bound
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the shadow, which nobody reads yet
-- transaction: one
-- rerun: safe because the caller looks whether it is there first
CREATE TABLE {partition} PARTITION OF {shadow} DEFAULT {options} {tablespace}
