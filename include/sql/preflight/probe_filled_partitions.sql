-- purpose: List the planned partitions with rows, by number from 1, with a probe of an index for each
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because it only reads
SELECT edge.number
  FROM unnest({edges}) WITH ORDINALITY AS edge (lower, number)
 WHERE EXISTS (SELECT FROM {source} AS s WHERE s.{partition_by} >= edge.lower AND s.{partition_by} < coalesce(({edges})[edge.number + 1], {beyond}))
 ORDER BY 1
