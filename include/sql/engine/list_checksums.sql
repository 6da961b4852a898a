-- purpose: Count and checksum the rows of a slice of a table by partition: all columns, in any order
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT {bucket} AS bucket, count(*) AS rows,
       -- A record's hash is linear in its columns, so a plain sum misses two rows with exchanged values. Hence the second hash, of a float: cheaper than of a numeric.
       sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0)) AS checksum
  FROM {table} AS t
 WHERE {within}
 GROUP BY 1
