-- purpose: Copy a slice of the default partition's blocks into the tables that are to replace it, without the rows whose changes wait in the change log
-- params: first, last
-- returns: none
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because a split that is not finished begins again with empty tables
INSERT INTO {staging} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {row}
  FROM ONLY {default} AS s
 WHERE s.ctid >= %(first)s::tid AND s.ctid < %(last)s::tid
   AND NOT EXISTS (SELECT FROM {log} AS k WHERE {match})
