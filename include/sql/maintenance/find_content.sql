-- purpose: Count and checksum the rows of a table, all columns, in any order, as the migration does
-- params: none
-- returns: row
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS rows, coalesce(sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0)), 0) AS checksum
  FROM ONLY {table} AS t
