-- purpose: Count the rows of a table for each planned partition, with a checksum over all columns in any order
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the table
-- transaction: one
-- rerun: safe because it only reads
SELECT width_bucket(t.{partition_by}, {bounds}) AS bucket,
       count(*) AS rows,
       min({ordered})::text AS oldest,
       max({ordered})::text AS newest,
       coalesce(sum(hashfloat8extended(hash_record_extended(ROW({row}), 0)::float8, 0)), 0) AS checksum
  FROM {table} AS t
 GROUP BY 1
