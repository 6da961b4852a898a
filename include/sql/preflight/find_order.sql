-- purpose: Tell whether a collation sorts the characters of a ULID like their bytes, each pair of them and whole values
-- params: alphabet
-- returns: value
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH characters AS (SELECT substr(%(alphabet)s, n, 1) AS c FROM generate_series(1, 32) AS n),
     texts AS (SELECT '01' || a.c || b.c || repeat(a.c, 22) AS value FROM characters a CROSS JOIN characters b)
SELECT array_agg(t.value ORDER BY t.value COLLATE {collation}) = array_agg(t.value ORDER BY t.value COLLATE "C") FROM texts t
