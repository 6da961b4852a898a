-- purpose: Tell whether a collation sorts ULIDs like their bytes, each pair of characters and whole values, and takes only equal bytes for equal
-- params: alphabet, collation
-- returns: row
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH characters AS (SELECT substr(%(alphabet)s, n, 1) AS c FROM generate_series(1, 32) AS n),
     texts AS (SELECT '01' || a.c || b.c || repeat(a.c, 22) AS value FROM characters a CROSS JOIN characters b)
SELECT array_agg(t.value ORDER BY t.value COLLATE {collation}) = array_agg(t.value ORDER BY t.value COLLATE "C") AS sorts,
       (SELECT collisdeterministic FROM pg_collation WHERE oid = %(collation)s::regcollation) AS deterministic
  FROM texts t
