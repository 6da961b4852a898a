-- purpose: Count and checksum the rows of a table by partition bounds: all columns, in any order, without rows with a waiting change
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
WITH contents AS (
    -- A record's hash is linear in its columns, so a plain sum misses two rows with exchanged values. Hence the second hash, of a float: cheaper than of a numeric.
    SELECT width_bucket(t.{partition_by}, {bounds}) AS bucket, count(*) AS rows, sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0)) AS checksum
      FROM {table} AS t
     GROUP BY 1
     UNION ALL
    -- Subtracting the waiting rows from counts and sums is cheaper than an anti-join with the change log.
    SELECT width_bucket(t.{partition_by}, {bounds}), -count(*), -sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0))
      FROM (SELECT DISTINCT {key} FROM {log} AS k) AS k
      JOIN {table} AS t ON {match}
     GROUP BY 1
)
SELECT bucket, sum(rows)::bigint AS rows, sum(checksum) AS checksum FROM contents GROUP BY bucket HAVING sum(rows) <> 0 OR sum(checksum) <> 0
