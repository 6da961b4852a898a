-- purpose: List the recorded statements that read sizes or statistics of tables from the catalog, by calls; not those of pg_dump
-- params: reads, name, most
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
SELECT s.query AS text,
       sum(s.calls)::bigint AS calls,
       strpos(lower(s.query), lower(replace(%(name)s, '"', '""'))) > 0 AS named
  FROM {statements} s
  JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
 WHERE s.query ~* %(reads)s
   AND strpos(s.query, 'partition_playbook') = 0
   AND s.query !~ '\m[a-z]+\.tableoid, [a-z]+\.oid\M'
 GROUP BY 1, 3
 ORDER BY 3 DESC, 2 DESC
 LIMIT %(most)s
