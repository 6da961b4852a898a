-- purpose: Count the rows whose partition value is no key of the encoding, with some of their values
-- params: most
-- returns: row
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS rows,
       count(*) FILTER (WHERE {partition_by} IS NULL) AS nulls,
       (array_agg({partition_by}::text))[1:%(most)s] AS samples
  FROM {source}
 WHERE {partition_by} IS NULL OR {unreadable}
