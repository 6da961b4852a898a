-- purpose: Count and checksum the rows of a table by partition-to-be, all columns, in any order, without the rows that wait in the change log
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
WITH contents AS (
    -- A record's hash is linear in its columns, so its sum is blind to values that two rows exchange: each is hashed again, as a float: cheaper than as a numeric.
    SELECT width_bucket(t.{partition_by}, {bounds}) AS bucket, count(*) AS rows, sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0)) AS checksum
      FROM {table} AS t
     GROUP BY 1
     UNION ALL
    -- Counts and sums can be taken back: that is cheaper than looking for every row in the change log.
    SELECT width_bucket(t.{partition_by}, {bounds}), -count(*), -sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0))
      FROM (SELECT DISTINCT {key} FROM {log} AS k) AS k
      JOIN {table} AS t ON {match}
     GROUP BY 1
)
SELECT bucket, sum(rows)::bigint AS rows, sum(checksum) AS checksum FROM contents GROUP BY bucket HAVING sum(rows) <> 0 OR sum(checksum) <> 0
