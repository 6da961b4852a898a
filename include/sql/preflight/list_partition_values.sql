-- purpose: Count the partition values outside any partition: NULL and infinity
-- params: none
-- returns: row
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FILTER (WHERE {partition_by} IS NULL) AS nulls,
       count(*) FILTER (WHERE {partition_by} = 'infinity') AS infinities,
       count(*) FILTER (WHERE {partition_by} = '-infinity') AS negative_infinities
  FROM {source}
 WHERE {partition_by} IS NULL OR {partition_by} = 'infinity' OR {partition_by} = '-infinity'
