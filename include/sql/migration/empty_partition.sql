-- purpose: Empty a partition before it is loaded, whatever an earlier try left
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the partition, which nobody reads yet
-- transaction: one
-- rerun: safe because the session that alone may load it fills it again
TRUNCATE {partition}
