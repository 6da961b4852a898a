-- purpose: List every table of the ledger with the figures of its partitions, its health, its retention and its maintenance
-- params: none
-- returns: rows
-- lock: ACCESS SHARE on the ledger, and for their sizes on the partitions without an ACCESS EXCLUSIVE lock
-- transaction: one
-- rerun: safe because it only reads
WITH specs AS MATERIALIZED (
    SELECT DISTINCT ON (r.table_schema, r.table_name)
           r.table_schema, r.table_name, r.run_id, r.started_at, r.spec,
           CASE WHEN r.mode = 'maintenance' THEN regexp_replace(r.run_id, '^.*/', '') ELSE coalesce(r.params->>'table', '') END AS spec_name,
           coalesce(r.spec->>'interval', 'month') AS width,
           regexp_replace(coalesce(r.spec->>'interval', 'month'), '^[0-9]+ |s$', '', 'g') AS unit,
           coalesce(substring(r.spec->>'interval' FROM '^[0-9]+')::bigint, 1) AS times,
           coalesce(r.spec->>'timezone', 'UTC') AS timezone,
           r.spec->>'encoding' AS encoding,
           extract(epoch FROM (r.spec->>'epoch')::timestamptz) AS key_zero,
           coalesce((r.spec->>'shift')::int, 22) AS shift,
           coalesce(r.spec #>> '{{retention,keep}}', r.spec->>'retention') AS keep,
           coalesce(r.spec #>> '{{retention,grace}}', '7 days') AS grace
      FROM partition_playbook.runs r
     ORDER BY r.table_schema, r.table_name, r.started_at DESC
), health AS MATERIALIZED (
    -- As the view health, on which nothing shall depend.
    SELECT DISTINCT ON (r.table_schema, r.table_name)
           r.table_schema, r.table_name, m.taken_at AS checked_at,
           CASE WHEN m.taken_at < now() - coalesce((m.detail->>'silence_seconds')::float8 * interval '1 second', interval '35 days') THEN 'red' ELSE m.detail->>'status' END AS status,
           (m.detail->>'bytes_per_day')::bigint AS bytes_per_day,
           m.taken_at + (m.detail->>'full_in_days')::float8 * interval '1 day' AS full_at,
           (m.detail->>'due')::timestamptz AS due,
           (m.detail->>'greatest_id')::bigint AS greatest_id
      FROM partition_playbook.measurements m
      JOIN partition_playbook.runs r ON r.run_id = m.run_id
     WHERE m.stage = 'health' AND m.name = 'bytes'
     ORDER BY r.table_schema, r.table_name, m.taken_at DESC
), periods AS MATERIALIZED (
    -- As in intervals.py: one of hours, months, days and ids is the width.
    SELECT s.*, c.oid, c.relkind, c.relkind = 'p' AS partitioned,
           CASE s.unit WHEN 'hour' THEN s.times::int ELSE 0 END AS hours,
           CASE s.unit WHEN 'month' THEN s.times::int WHEN 'quarter' THEN 3 * s.times::int WHEN 'year' THEN 12 * s.times::int ELSE 0 END AS months,
           CASE s.unit WHEN 'day' THEN s.times::int WHEN 'week' THEN 7 * s.times::int ELSE 0 END AS days,
           CASE s.unit WHEN 'id' THEN s.times END AS ids, coalesce(h.greatest_id, 0) AS greatest_id,
           CASE WHEN s.unit IN ('hour', 'day', 'week') THEN timestamp '2000-01-03' ELSE timestamp '2000-01-01' END AS origin,
           now() AT TIME ZONE s.timezone AS now_there,
           -- PostgreSQL has no unit for quarters.
           CASE WHEN s.keep LIKE '%quarter%' THEN 3 * split_part(s.keep, ' ', 1)::int * interval '1 month' ELSE s.keep::interval END AS kept,
           CASE WHEN s.grace LIKE '%quarter%' THEN 3 * split_part(s.grace, ' ', 1)::int * interval '1 month' ELSE s.grace::interval END AS graced,
           h.status, h.checked_at, coalesce(h.checked_at, CASE WHEN c.relkind = 'p' THEN s.started_at END) AS maintained_at,
           h.bytes_per_day, h.full_at, h.due
      FROM specs s
      LEFT JOIN pg_namespace n ON n.nspname = s.table_schema
      LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.table_name AND c.relkind IN ('r', 'p')
      LEFT JOIN health h ON h.table_schema = s.table_schema AND h.table_name = s.table_name
), locked AS MATERIALIZED (
    SELECT l.relation FROM pg_locks l WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL
     UNION
    SELECT x.indrelid FROM pg_locks l JOIN pg_index x ON x.indexrelid = l.relation WHERE l.mode = 'AccessExclusiveLock'
), tree AS (
    WITH RECURSIVE below (root, oid) AS (
        SELECT p.oid, p.oid FROM periods p WHERE p.oid IS NOT NULL
         UNION ALL
        SELECT b.root, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid
    )
    SELECT below.root,
           -- The size waits for an ACCESS EXCLUSIVE lock, granted or requested. The last known pages do not.
           sum(CASE WHEN locked.relation IS NULL THEN coalesce(pg_total_relation_size(c.oid), 0)
                    ELSE c.relpages * current_setting('block_size')::bigint END)::bigint AS bytes,
           sum(greatest(c.reltuples, 0))::bigint AS rows
      FROM below
      JOIN pg_class c ON c.oid = below.oid AND c.relkind = 'r'
      LEFT JOIN locked ON locked.relation = c.oid
     GROUP BY below.root
), children AS MATERIALIZED (
    SELECT p.oid AS root, p.hours, p.months, p.days, p.ids, p.greatest_id, p.origin, make_interval(months => p.months, days => p.days, hours => p.hours) AS step, p.timezone, p.key_zero, p.shift, c.oid, c.relkind, a.atttypid,
           -- A spec that does not fit its table must not stop the scrape.
           CASE WHEN a.atttypid = ANY (CASE p.encoding WHEN 'uuidv7' THEN '{{uuid}}'
                                                       WHEN 'ulid' THEN '{{text,varchar,bpchar}}'
                                                       ELSE '{{int4,int8,numeric}}' END::regtype[]) THEN p.encoding END AS encoding,
           c.oid = k.partdefid AS is_default, i.inhdetachpending AS pending,
           -- With these keys the first partition and the rows of the default one are planned.
           p.spec->>'since' IS NOT NULL AS has_first, p.spec->>'until' IS NOT NULL AS has_newer,
           -- Without a table, pg_get_expr takes no lock.
           regexp_match(pg_get_expr(c.relpartbound, 0), '^FOR VALUES FROM \((?:''?([^''M][^'']*)''?|MINVALUE)\) TO \((?:''?([^''M][^'']*)''?|MAXVALUE)\)$') AS ends
      FROM periods p
      JOIN pg_partitioned_table k ON k.partrelid = p.oid
      JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = k.partattrs[0]
      JOIN pg_inherits i ON i.inhparent = p.oid
      JOIN pg_class c ON c.oid = i.inhrelid
), walls AS (
    -- The wall clock of both ends in the zone of the spec.
    SELECT c.*,
           CASE WHEN c.ends[1] IS NULL THEN '-infinity'::timestamp
                WHEN c.encoding IS NOT NULL THEN k.moments[1] AT TIME ZONE c.timezone
                WHEN c.atttypid = 'timestamptz'::regtype THEN c.ends[1]::timestamptz AT TIME ZONE c.timezone
                ELSE c.ends[1]::timestamp END AS lower,
           CASE WHEN c.ends[2] IS NULL THEN 'infinity'::timestamp
                WHEN c.encoding IS NOT NULL THEN k.moments[2] AT TIME ZONE c.timezone
                WHEN c.atttypid = 'timestamptz'::regtype THEN c.ends[2]::timestamptz AT TIME ZONE c.timezone
                ELSE c.ends[2]::timestamp END AS upper
      FROM children c
      LEFT JOIN LATERAL (
          -- As in codecs.py; the years end at 9999.
          SELECT array_agg(to_timestamp(least(greatest(
                     CASE c.encoding
                          WHEN 'epoch_seconds' THEN e.value::numeric
                          WHEN 'epoch_milliseconds' THEN e.value::numeric / 1e3
                          WHEN 'epoch_microseconds' THEN e.value::numeric / 1e6
                          WHEN 'uuidv7' THEN ('x' || replace(left(e.value, 13), '-', ''))::bit(48)::bigint / 1e3
                          WHEN 'ulid' THEN (SELECT sum((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(e.value, n, 1)) - 1) * 32::numeric ^ (10 - n))
                                              FROM generate_series(1, 10) AS n) / 1e3
                          WHEN 'snowflake' THEN c.key_zero + floor(e.value::numeric / 2::numeric ^ c.shift) / 1e3 END,
                     -62135596800), 253402300799)::float8) ORDER BY e.place) AS moments
            FROM unnest(c.ends) WITH ORDINALITY AS e (value, place)) AS k ON c.encoding IS NOT NULL
     WHERE c.ends IS NOT NULL AND NOT c.pending AND c.ids IS NULL
       AND (c.encoding IS NOT NULL OR c.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype))
), numbered AS (
    -- The number of the interval at the lower end, and of the first one at or after the upper end.
    SELECT w.*, first.number AS first, last.number + 1 AS after,
           w.relkind = 'r' AND since.starts AND last.number = first.number AND until.starts AS managed
      FROM walls w
     CROSS JOIN LATERAL (SELECT CASE WHEN isfinite(w.lower) THEN w.lower END AS lower, CASE WHEN isfinite(w.upper) THEN w.upper END AS upper) AS f
     CROSS JOIN LATERAL (
         SELECT CASE WHEN w.hours > 0 THEN floor(extract(epoch FROM f.lower - w.origin) / (3600 * w.hours))
                     WHEN w.days > 0 THEN floor((f.lower::date - w.origin::date)::numeric / w.days)
                     ELSE floor((12 * (extract(year FROM f.lower) - 2000) + extract(month FROM f.lower) - 1) / w.months) END::int AS number) AS first
     CROSS JOIN LATERAL (
         -- Where the clock skips midnight, the day begins later.
         SELECT coalesce(w.origin + first.number * w.step = CASE WHEN w.hours > 0 THEN f.lower ELSE f.lower::date::timestamp END
                         AND (w.hours > 0 OR f.lower IN (f.lower::date::timestamp, f.lower::date::timestamp AT TIME ZONE w.timezone AT TIME ZONE w.timezone)), false) AS starts) AS since
     CROSS JOIN LATERAL (SELECT f.upper - interval '1 microsecond' AS value) AS e
     CROSS JOIN LATERAL (
         SELECT CASE WHEN w.hours > 0 THEN floor(extract(epoch FROM e.value - w.origin) / (3600 * w.hours))
                     WHEN w.days > 0 THEN floor((e.value::date - w.origin::date)::numeric / w.days)
                     ELSE floor((12 * (extract(year FROM e.value) - 2000) + extract(month FROM e.value) - 1) / w.months) END::int AS number) AS last
     CROSS JOIN LATERAL (
         SELECT coalesce(w.origin + (last.number + 1) * w.step = CASE WHEN w.hours > 0 THEN f.upper ELSE f.upper::date::timestamp END
                         AND (w.hours > 0 OR f.upper IN (f.upper::date::timestamp, f.upper::date::timestamp AT TIME ZONE w.timezone AT TIME ZONE w.timezone)), false) AS starts) AS until
), spans AS MATERIALIZED (
    SELECT n.*,
           lag(n.after) OVER (PARTITION BY n.root ORDER BY n.lower) AS before,
           min(n.first) FILTER (WHERE n.managed) OVER (PARTITION BY n.root) AS oldest,
           max(n.first) FILTER (WHERE n.managed) OVER (PARTITION BY n.root) AS newest
      FROM numbered n
), today AS (
    SELECT p.oid AS root,
           CASE WHEN p.hours > 0 THEN floor(extract(epoch FROM p.now_there - p.origin) / (3600 * p.hours))
                WHEN p.days > 0 THEN floor((p.now_there::date - p.origin::date)::numeric / p.days)
                ELSE floor((12 * (extract(year FROM p.now_there) - 2000) + extract(month FROM p.now_there) - 1) / p.months) END::int AS number
      FROM periods p
     WHERE p.ids IS NULL
), ranges AS MATERIALIZED (
    -- Ranges of ids carry no time; their present is the greatest id at the last maintenance.
    SELECT c.root, c.oid, c.ids, b.lower, b.upper, floor(c.greatest_id / c.ids)::bigint AS today,
           lag(b.upper) OVER (PARTITION BY c.root ORDER BY b.lower) AS before,
           c.relkind = 'r' AND b.lower % c.ids = 0 AND b.upper = b.lower + c.ids AS managed
      FROM children c
     CROSS JOIN LATERAL (SELECT c.ends[1]::numeric AS lower, c.ends[2]::numeric AS upper) AS b
     WHERE c.ids IS NOT NULL AND NOT c.pending
       AND c.atttypid IN ('int4'::regtype, 'int8'::regtype, 'numeric'::regtype) AND c.ends[1] IS NOT NULL AND c.ends[2] IS NOT NULL
), reach AS (
    SELECT s.root, t.number AS today, s.oldest, s.newest,
           coalesce(sum(greatest(s.first - s.before, 0)) FILTER (WHERE s.before >= s.oldest AND s.first <= s.newest), 0) AS gaps,
           -- The first interval from now on without a partition.
           CASE WHEN s.oldest > t.number THEN t.number
                ELSE least(min(greatest(s.before, t.number)) FILTER (WHERE s.first > s.before AND s.first > t.number), s.newest + 1) END AS missing
      FROM spans s
      JOIN today t ON t.root = s.root
     GROUP BY s.root, t.number, s.oldest, s.newest
     UNION ALL
    SELECT r.root, r.today, NULL, NULL, coalesce(sum(div(r.lower - r.before, r.ids)), 0),
           coalesce(min(greatest(div(r.before, r.ids), r.today)) FILTER (WHERE r.lower > r.before AND r.lower > r.today * r.ids),
                    greatest(div(max(r.upper), max(r.ids)), r.today))
      FROM ranges r
     GROUP BY r.root, r.today
), counts AS (
    SELECT c.root, count(*) AS partitions,
           count(*) FILTER (WHERE NOT c.is_default AND NOT c.pending AND NOT (c.has_first AND c.ends[1] IS NULL AND c.ends[2] IS NOT NULL) AND NOT EXISTS (SELECT FROM spans s WHERE s.oid = c.oid AND s.managed)
                              AND NOT EXISTS (SELECT FROM ranges g WHERE g.oid = c.oid AND g.managed)) AS extra,
           -- Without statistics, after a crash, the last ANALYZE counts.
           max(CASE WHEN NOT c.is_default OR c.has_newer THEN 0
                    WHEN pg_stat_get_live_tuples(c.oid) > 0 THEN pg_stat_get_live_tuples(c.oid)
                    WHEN pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_deleted(c.oid) > 0 THEN 0
                    ELSE greatest((SELECT d.reltuples FROM pg_class d WHERE d.oid = c.oid), 0) END)::bigint AS default_rows
      FROM children c
     GROUP BY c.root
), retained AS (
    SELECT p.oid AS root,
           extract(epoch FROM p.now_there - min(s.upper)) AS oldest_age,
           count(*) FILTER (WHERE s.upper <= p.now_there - p.kept AND s.first < s.newest AND held.until IS NULL) AS due,
           count(*) FILTER (WHERE s.upper <= (p.maintained_at AT TIME ZONE p.timezone) - p.kept AND s.first < s.newest AND held.until IS NULL) AS overdue
      FROM periods p
      JOIN spans s ON s.root = p.oid AND s.managed
      LEFT JOIN LATERAL (
          SELECT coalesce((each->>'until')::date, 'infinity'::date) AS until
            FROM jsonb_array_elements(coalesce(nullif(p.spec #> '{{retention,hold}}', 'null'), '[]')) AS each
           WHERE coalesce((each->>'since')::date, '-infinity'::date) <= (s.upper - interval '1 microsecond')::date
             AND coalesce((each->>'until')::date, 'infinity'::date) >= s.lower::date
           LIMIT 1) AS held ON true
     WHERE p.kept IS NOT NULL
     GROUP BY p.oid, p.now_there
), noted AS (
    SELECT r.table_schema, r.table_name, e.detail->>'partition' AS partition, e.detail->>'oid' AS oid,
           bool_or(e.message = 'retention archived') AS archived,
           bool_or(e.message = 'retention detached') AS detached,
           bool_or(coalesce((e.detail->>'kept')::boolean, false)) AS kept,
           max((e.detail->>'bytes')::bigint) AS bytes,
           max(e.happened_at) FILTER (WHERE e.message <> 'retention archived') AS since
      FROM partition_playbook.runs r
      JOIN partition_playbook.events e ON e.run_id = r.run_id
     WHERE r.mode = 'maintenance' AND e.kind = 'note' AND e.message IN ('retention detaches', 'retention detached', 'retention archived')
     GROUP BY 1, 2, 3, 4
), detached AS (
    SELECT p.table_schema, p.table_name,
           count(*) FILTER (WHERE stands.oid IS NOT NULL) AS partitions,
           min(d.since) FILTER (WHERE stands.oid IS NOT NULL) AS since,
           count(*) FILTER (WHERE stands.oid IS NOT NULL AND d.since + p.graced <= p.maintained_at) AS overdue,
           coalesce(sum(d.bytes) FILTER (WHERE d.archived), 0) AS archived_bytes
      FROM periods p
      JOIN noted d ON d.table_schema = p.table_schema AND d.table_name = p.table_name
      LEFT JOIN LATERAL (
          SELECT c.oid
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.oid = d.oid::oid AND NOT c.relispartition AND n.nspname || '.' || c.relname = d.partition AND d.detached AND NOT d.kept) AS stands ON true
     GROUP BY p.table_schema, p.table_name
)
SELECT p.table_schema || '.' || p.table_name AS "table",
       p.spec_name AS spec,
       p.width AS "interval",
       current_setting('server_version') AS postgres,
       coalesce((SELECT e.detail #>> '{{origin,version}}' FROM partition_playbook.events e WHERE e.run_id = p.run_id ORDER BY e.event_id DESC LIMIT 1), '') AS version,
       1 AS info,
       coalesce(p.partitioned, false)::int AS partitioned,
       coalesce(c.partitions, 0) AS partitions,
       greatest(coalesce(r.missing - (r.today + 1), 0), 0) AS partitions_ahead,
       coalesce((p.spec->>'premake')::int, 0) AS partitions_wanted_ahead,
       coalesce(r.gaps, 0) AS partition_gaps,
       coalesce(c.extra, 0) AS partitions_extra,
       coalesce(c.default_rows, 0) AS default_rows,
       coalesce(tree.bytes, 0) AS bytes,
       coalesce(tree.rows, 0) AS rows_estimate,
       coalesce(p.bytes_per_day, 0) AS bytes_per_day,
       coalesce(extract(epoch FROM p.full_at), 0)::float8 AS disk_full_timestamp_seconds,
       (p.status IS DISTINCT FROM 'red')::int AS healthy,
       coalesce(extract(epoch FROM p.checked_at), 0)::float8 AS maintained_timestamp_seconds,
       coalesce(extract(epoch FROM coalesce(p.due, due.at)), 0)::float8 AS maintenance_due_timestamp_seconds,
       -- No time is known at which ranges of ids end.
       coalesce(extract(epoch FROM (p.origin + CASE WHEN p.ids IS NULL THEN r.missing END * make_interval(months => p.months, days => p.days, hours => p.hours))
                                   AT TIME ZONE p.timezone), 0)::float8 AS partitions_end_timestamp_seconds,
       greatest(coalesce(t.oldest_age, 0), 0)::float8 AS retention_oldest_age_seconds,
       coalesce(t.due, 0) AS retention_due_partitions,
       coalesce(t.overdue, 0) AS retention_overdue_partitions,
       coalesce(d.partitions, 0) AS detached_partitions,
       coalesce(extract(epoch FROM now() - d.since), 0)::float8 AS detached_oldest_age_seconds,
       coalesce(d.overdue, 0) AS detached_overdue_partitions,
       coalesce(d.archived_bytes, 0)::bigint AS archived_bytes_total,
       (SELECT age(b.datfrozenxid) FROM pg_database b WHERE b.datname = current_database()) AS xid_age
  FROM periods p
 -- Without a run that recorded it, the schedule `monthly`; a test compares it with runway.py.
 CROSS JOIN LATERAL (SELECT date_trunc('month', p.maintained_at AT TIME ZONE 'UTC') + interval '3 hours 30 minutes' AS month) AS m
 CROSS JOIN LATERAL (
     SELECT (m.month + CASE WHEN m.month > p.maintained_at AT TIME ZONE 'UTC' THEN interval '0' ELSE interval '1 month' END) AT TIME ZONE 'UTC' AS at) AS due
  LEFT JOIN tree ON tree.root = p.oid
  LEFT JOIN counts c ON c.root = p.oid
  LEFT JOIN reach r ON r.root = p.oid
  LEFT JOIN retained t ON t.root = p.oid
  LEFT JOIN detached d ON d.table_schema = p.table_schema AND d.table_name = p.table_name
 ORDER BY 1
