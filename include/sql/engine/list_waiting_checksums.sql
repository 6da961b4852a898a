-- purpose: Count and checksum the rows of a slice with a waiting change, as negative numbers: subtracting them is cheaper than an anti-join with the change log
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT {bucket} AS bucket, -count(*) AS rows,
       -- A statement of its own: as a part of the other one it would keep PostgreSQL from a parallel scan of the slice.
       -sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0)) AS checksum
  FROM (SELECT DISTINCT {key} FROM {log} AS k WHERE {waiting}) AS k
  JOIN {table} AS t ON {match}
 WHERE {within}
 GROUP BY 1
