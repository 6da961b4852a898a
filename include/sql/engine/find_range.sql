-- purpose: Read the smallest and largest partition value within a condition, and the estimated number of rows
-- params: schema, name
-- returns: row
-- lock: ACCESS SHARE on the source
-- transaction: one
-- rerun: safe because it only reads
SELECT (SELECT {partition_by} FROM {source} WHERE {within} ORDER BY {partition_by} LIMIT 1) AS oldest,
       (SELECT {partition_by} FROM {source} WHERE {within} ORDER BY {partition_by} DESC LIMIT 1) AS newest,
       (SELECT greatest(c.reltuples, 0)::bigint FROM pg_class c
         WHERE c.oid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))) AS estimated_rows
