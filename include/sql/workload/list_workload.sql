-- purpose: List the statements with the name of a table in their text, with the search_path of their role and their queryid, by total time
-- params: name, schema, most
-- returns: rows
-- lock: none
-- transaction: one
-- rerun: safe because it only reads
WITH here AS (
    SELECT d.oid,
           CASE WHEN EXISTS (SELECT FROM pg_db_role_setting own JOIN pg_roles r ON r.oid = own.setrole
                              WHERE r.rolname = session_user AND own.setconfig::text LIKE '%%search_path=%%')
                THEN p.boot_val ELSE p.reset_val END AS path
      FROM pg_database d, pg_settings p
     WHERE d.datname = current_database() AND p.name = 'search_path'
)
SELECT s.query AS text,
       concat_ws(', ', nullif(replace(replace(path.given, '"$user"', '$user'), '$user', quote_ident(coalesce(r.rolname, ''))), ''),
                 quote_ident(%(schema)s), 'pg_temp') AS search_path,
       sum(s.calls)::bigint AS calls,
       sum(s.total_exec_time) AS total_ms,
       array_agg(DISTINCT s.queryid) FILTER (WHERE s.queryid IS NOT NULL) AS queries
  FROM here
  JOIN {statements} s ON s.dbid = here.oid
  LEFT JOIN pg_roles r ON r.oid = s.userid
 CROSS JOIN LATERAL (
    SELECT coalesce((SELECT substr(each, 13)
                       FROM pg_db_role_setting d, unnest(d.setconfig) AS each
                      WHERE each LIKE 'search_path=%%' AND d.setdatabase IN (0, here.oid) AND d.setrole IN (0, s.userid)
                      ORDER BY d.setrole <> 0 DESC, d.setdatabase <> 0 DESC
                      LIMIT 1), here.path) AS given) AS path
 WHERE strpos(lower(s.query), lower(replace(%(name)s, '"', '""'))) > 0
    OR s.query = '<insufficient privilege>'
 GROUP BY 1, 2
 ORDER BY 4 DESC
 LIMIT %(most)s
