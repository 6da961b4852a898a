-- purpose: Count the rows in the default partition, up to a limit, with the least and the greatest of their partition values
-- params: limit
-- returns: row
-- lock: ACCESS SHARE on the default partition
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) AS rows, min(waiting.value)::text AS oldest, max(waiting.value)::text AS newest
  FROM (SELECT {ordered} AS value FROM {default} WHERE {counted} LIMIT %(limit)s) AS waiting
