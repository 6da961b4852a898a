-- purpose: Count the changes in the change log, up to a limit
-- params: limit
-- returns: value
-- lock: ACCESS SHARE on the change log
-- transaction: one
-- rerun: safe because it only reads
SELECT count(*) FROM (SELECT FROM {log} LIMIT %(limit)s) AS waiting
