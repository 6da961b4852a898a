-- purpose: List the intervals and zones of the specs by which a table was migrated or maintained, the newest first
-- params: table_schema, table_name
-- returns: rows
-- lock: ACCESS SHARE on runs
-- transaction: one
-- rerun: safe because it only reads
SELECT spec->>'interval' AS interval, spec->>'timezone' AS timezone
  FROM partition_playbook.runs
 WHERE table_schema = %(table_schema)s
   AND table_name = %(table_name)s
   AND spec ? 'interval'
   AND CASE mode WHEN 'maintenance' THEN NOT coalesce((params->>'dry_run')::boolean, false) ELSE phase IN ('live', 'finalized') END
 GROUP BY 1, 2
 ORDER BY max(started_at) DESC
