-- purpose: Count and checksum the rows of a table by partition-to-be, all columns, in any order, leaving out the rows that wait in the change log
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT width_bucket(t.{partition_by}, {bounds}) AS bucket,
       count(*) AS rows,
       coalesce(sum(hash_record_extended(ROW({row}), 0)), 0) AS checksum
  FROM {table} AS t
 WHERE NOT EXISTS (SELECT FROM {log} AS k WHERE {match})
 GROUP BY 1
