-- purpose: Copy a range of blocks of a partition into its replacement, without rows that have a change in the change log
-- params: first, last
-- returns: none
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because an interrupted split begins again with empty tables
INSERT INTO {staging} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {row}
  FROM ONLY {default} AS s
 WHERE s.ctid >= %(first)s::tid AND s.ctid < %(last)s::tid
   AND NOT EXISTS (SELECT FROM {log} AS k WHERE {match})
