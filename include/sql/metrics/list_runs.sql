-- purpose: List the migration of every table of the ledger, the one that stands or the last: phase, loads, change log, capture, and sessions that wait for a lock
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the ledger and the change log, ROW EXCLUSIVE on the sequence that marks a lost capture
-- transaction: one
-- rerun: safe because it only reads
WITH tables AS MATERIALIZED (
    SELECT DISTINCT r.table_schema, r.table_name FROM partition_playbook.runs r
), migrations AS MATERIALIZED (
    SELECT DISTINCT ON (r.table_schema, r.table_name)
           r.table_schema, r.table_name, r.run_id, r.phase, r.started_at, r.ended_at,
           r.phase IN ('shadowed', 'attached', 'live', 'rolled_back') AS stands
      FROM partition_playbook.runs r
     WHERE r.mode NOT IN ('maintenance', 'plan')
     ORDER BY r.table_schema, r.table_name, r.phase IN ('shadowed', 'attached', 'live', 'rolled_back') DESC, r.started_at DESC
), waiting AS MATERIALIZED (
    SELECT l.relation, count(*) AS sessions
      FROM pg_locks l
     WHERE NOT l.granted AND l.relation IS NOT NULL AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     GROUP BY l.relation
), found AS (
    SELECT t.table_schema, t.table_name, m.run_id, m.ended_at, coalesce(m.stands, false) AS stands, m.started_at, c.oid,
           -- A run that ended before it built anything keeps the phase of its beginning.
           CASE WHEN m.phase IS NULL OR (m.phase = 'opened' AND m.ended_at IS NOT NULL) THEN 'none' ELSE m.phase END AS phase,
           (SELECT max(e.happened_at) FROM partition_playbook.events e WHERE e.run_id = m.run_id AND e.kind = 'phase' AND e.message = m.phase) AS noted_at,
           (SELECT max(x.taken_at) FROM partition_playbook.measurements x WHERE x.run_id = m.run_id AND x.stage = 'migration' AND x.name LIKE '%held_ms') AS swapped_at
      FROM tables t
      LEFT JOIN migrations m ON m.table_schema = t.table_schema AND m.table_name = t.table_name
      LEFT JOIN pg_namespace n ON n.nspname = t.table_schema
      LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.table_name AND c.relkind IN ('r', 'p')
), captured AS (
    SELECT f.*, log.oid AS log, loss.oid AS loss, capture.named[2]::bigint AS limit_bytes
      FROM found f
      LEFT JOIN LATERAL (
          -- The function has the name of the change log and its limit.
          SELECT regexp_match(p.prosrc, 'pg_relation_size\(''"partition_playbook"\."((?:[^"]|"")+)"''::regclass\) >= (\d+)') AS named,
                 regexp_match(p.prosrc, '"((?:[^"]|"")+_loss)"') AS marked
            FROM pg_trigger t
            JOIN pg_proc p ON p.oid = t.tgfoid
           WHERE f.stands AND t.tgrelid = f.oid AND NOT t.tgisinternal AND starts_with(t.tgname, 'partition_playbook_')
             AND p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'partition_playbook')
           LIMIT 1) AS capture ON true
      LEFT JOIN pg_class log ON log.relname = replace(replace(capture.named[1], '""', '"'), '''''', '''')
                            AND log.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'partition_playbook')
      LEFT JOIN pg_class loss ON loss.relname = replace(replace(capture.marked[1], '""', '"'), '''''', '''')
                             AND loss.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'partition_playbook')
), measured AS (
    SELECT c.*,
           coalesce(pg_stat_get_live_tuples(c.log), 0) AS log_rows,
           CASE WHEN c.log IS NULL OR EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.log AND l.mode = 'AccessExclusiveLock') THEN 0
                ELSE coalesce(pg_relation_size(c.log), 0) END AS log_bytes,
           c.stands AND (
               c.log IS NULL OR c.loss IS NULL
               -- A standby refuses the lock. Without the privilege, the last pass of partition_standby counts.
               OR CASE WHEN has_sequence_privilege(c.loss, 'SELECT, USAGE') AND NOT pg_is_in_recovery()
                       THEN pg_sequence_last_value(c.loss) IS NOT NULL
                       ELSE false END
               OR EXISTS (SELECT FROM partition_playbook.measurements x
                           WHERE x.run_id = c.run_id AND x.stage = 'standby' AND x.name = 'way_back' AND x.detail->>'state' = 'lost')) AS lost
      FROM captured c
)
SELECT m.table_schema || '.' || m.table_name AS "table",
       coalesce(m.run_id, '') AS run,
       m.phase AS phase,
       1 AS run_phase,
       CASE WHEN m.phase = 'none' THEN 0
            ELSE extract(epoch FROM coalesce(m.noted_at, CASE WHEN m.phase IN ('live', 'rolled_back') THEN m.swapped_at END, m.started_at)) END::float8 AS phase_timestamp_seconds,
       (m.phase <> 'none' AND m.ended_at IS NULL)::int AS run_open,
       loads.all_of_them AS loads,
       loads.done AS loads_done,
       loads.rows AS rows_loaded_total,
       m.log_rows AS change_log_rows,
       m.log_bytes AS change_log_bytes,
       coalesce(m.limit_bytes, 0) AS change_log_limit_bytes,
       -- The log had few changes at the last look; since then the oldest one waits.
       CASE WHEN m.log_rows <= 1000 THEN 0
            ELSE extract(epoch FROM now() - coalesce((SELECT e.happened_at
                                                        FROM partition_playbook.events e
                                                       WHERE e.run_id = m.run_id AND e.kind = 'backlog' AND e.rows <= 1000
                                                       ORDER BY e.event_id DESC
                                                       LIMIT 1), m.noted_at, m.started_at)) END::float8 AS change_log_oldest_age_seconds,
       m.lost::int AS capture_lost,
       (m.stands AND NOT m.lost)::int AS rollback_possible,
       coalesce((SELECT sum(w.sessions)
                   FROM waiting w
                   LEFT JOIN pg_inherits i ON i.inhrelid = w.relation
                  WHERE coalesce(i.inhparent, w.relation) = m.oid), 0)::bigint AS lock_waiters,
       -- A rehearsal that died provokes nothing after the time of its drill.
       EXISTS (SELECT FROM partition_playbook.measurements x
                WHERE x.run_id = m.run_id AND m.ended_at IS NULL AND x.stage = 'preflight' AND x.name = 'drill' AND x.value = 1
                  AND now() < (x.detail->>'until')::timestamptz)::int AS drill
  FROM measured m
 CROSS JOIN LATERAL (
     SELECT count(*) AS all_of_them, count(*) FILTER (WHERE l.state IN ('loaded', 'attached')) AS done, coalesce(sum(l.rows), 0)::bigint AS rows
       FROM partition_playbook.loads l
      WHERE l.run_id = m.run_id) AS loads
 ORDER BY 1
