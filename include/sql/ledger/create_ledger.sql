-- purpose: Create the ledger: runs, loads, statistics, measurements, checks, events, reports, home, and the view health
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the ledger's own new tables
-- transaction: one
-- rerun: safe because existing objects are kept
DO $schema$
BEGIN
    -- IF NOT EXISTS would require CREATE on the database and ownership of the schema even if it exists.
    IF to_regnamespace('partition_playbook') IS NULL THEN
        CREATE SCHEMA partition_playbook;
        COMMENT ON SCHEMA partition_playbook IS 'Partition Playbook: the ledger of its runs and the change logs of its migrations';
    END IF;
END
$schema$;

CREATE TABLE IF NOT EXISTS partition_playbook.runs (
    run_id       text PRIMARY KEY,
    table_schema text NOT NULL,
    table_name   text NOT NULL,
    mode         text NOT NULL,
    phase        text NOT NULL DEFAULT 'opened',
    spec         jsonb NOT NULL,
    params       jsonb NOT NULL,
    plan_hash    text,
    opened_by    text NOT NULL DEFAULT session_user,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz,
    verdict      text
);

CREATE TABLE IF NOT EXISTS partition_playbook.loads (
    run_id         text NOT NULL REFERENCES partition_playbook.runs,
    partition_name text NOT NULL,
    lower_bound    timestamptz NOT NULL,
    upper_bound    timestamptz NOT NULL,
    state          text NOT NULL DEFAULT 'pending',
    expected_rows  bigint NOT NULL,
    rows           bigint,
    bytes          bigint,
    started_at     timestamptz,
    ended_at       timestamptz,
    PRIMARY KEY (run_id, partition_name)
);

CREATE TABLE IF NOT EXISTS partition_playbook.statistics (
    run_id         text NOT NULL REFERENCES partition_playbook.runs,
    stage          text NOT NULL,
    partition_name text NOT NULL,
    rows           bigint NOT NULL,
    oldest         text,
    newest         text,
    distinct_values jsonb NOT NULL DEFAULT '{{}}',
    checksum       numeric NOT NULL,
    taken_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, stage, partition_name)
);

CREATE TABLE IF NOT EXISTS partition_playbook.measurements (
    run_id      text NOT NULL REFERENCES partition_playbook.runs,
    stage       text NOT NULL,
    name        text NOT NULL,
    value       double precision,
    unit        text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{{}}',
    taken_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, stage, name)
);

CREATE TABLE IF NOT EXISTS partition_playbook.checks (
    check_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     text NOT NULL REFERENCES partition_playbook.runs,
    section    text NOT NULL,
    name       text NOT NULL,
    outcome    text NOT NULL,
    severity   text NOT NULL,
    expected   text NOT NULL,
    actual     text NOT NULL,
    remedy     text NOT NULL DEFAULT '',
    evidence   jsonb NOT NULL DEFAULT '{{}}',
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS partition_playbook.events (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      text NOT NULL REFERENCES partition_playbook.runs,
    section     text NOT NULL,
    kind        text NOT NULL,
    message     text NOT NULL,
    statement   text,
    rows        bigint,
    duration_ms double precision,
    detail      jsonb NOT NULL DEFAULT '{{}}',
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The report and the plan of a run, byte by byte as they were written.
CREATE TABLE IF NOT EXISTS partition_playbook.reports (
    run_id     text NOT NULL REFERENCES partition_playbook.runs,
    name       text NOT NULL,
    content    bytea NOT NULL,
    sha256     text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, name)
);

-- One row: the database to which the ledger belongs.
CREATE TABLE IF NOT EXISTS partition_playbook.home (
    database_name     text NOT NULL,
    database_oid      oid NOT NULL,
    system_identifier bigint,
    recorded_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);

DO $indexes$
BEGIN
    -- IF NOT EXISTS would require ownership of the tables.
    IF to_regclass('partition_playbook.events_run') IS NULL THEN
        CREATE INDEX runs_table ON partition_playbook.runs (table_schema, table_name, started_at);
        CREATE INDEX checks_run ON partition_playbook.checks (run_id, section, name, check_id);
        CREATE INDEX events_run ON partition_playbook.events (run_id, event_id);
    END IF;
    -- Few events among millions, which each creation, detach and drop of a partition looks for. Queries repeat this condition.
    IF to_regclass('partition_playbook.events_noted') IS NULL
       AND (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'partition_playbook.events'::regclass) THEN
        CREATE INDEX events_noted ON partition_playbook.events ((detail->>'parent'), message)
         WHERE kind = 'note'
           AND message IN ('retention detaches', 'retention detached', 'retention archived', 'retention proof made', 'split begun');
    END IF;
END
$indexes$;

DO $view$
DECLARE
    -- Change this text with the view: the view is only replaced then, because a replacement waits for its readers.
    told constant text := 'Partition Playbook: how maintenance found each table last. Red also where nobody looked for longer than the schedule allows, 35 days for a monthly one. Without figures where no partitioned table has the name now';
    there constant regclass := to_regclass('partition_playbook.health');
BEGIN
    IF obj_description(there, 'pg_class') = told
       OR NOT has_schema_privilege('partition_playbook', 'CREATE')
       OR NOT (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = there) THEN
        RETURN;
    END IF;
    CREATE OR REPLACE VIEW partition_playbook.health AS
    SELECT DISTINCT ON (r.table_schema, r.table_name)
           r.table_schema,
           r.table_name,
           CASE WHEN c.oid IS NULL THEN 'no table'
                WHEN c.relkind <> 'p' THEN 'not partitioned'
                WHEN m.taken_at < now() - s.silence THEN 'red'
                ELSE m.detail->>'status' END AS status,
           CASE WHEN c.oid IS NULL THEN ARRAY['the table does not exist']
                WHEN c.relkind <> 'p' THEN ARRAY[]::text[]
                ELSE ARRAY(SELECT jsonb_array_elements_text(m.detail->'problems'))
                         || CASE WHEN m.taken_at < now() - s.silence THEN ARRAY['not checked for ' || justify_hours(s.silence)] END
           END AS problems,
           m.taken_at AS checked_at,
           r.run_id,
           (f.detail->>'partitions')::int AS partitions,
           (f.detail->>'ahead')::int AS ahead,
           (f.detail->>'gaps')::int AS gaps,
           (f.detail->>'pending_detach')::int AS pending_detach,
           (f.detail->>'default_rows')::bigint AS default_rows,
           (f.detail->>'lacking_an_index')::int AS lacking_an_index,
           (f.detail->>'analyzed_at')::timestamptz AS analyzed_at,
           (f.detail->>'oldest_xid_age')::bigint AS oldest_xid_age,
           (f.detail->>'estimated_rows')::bigint AS estimated_rows,
           f.value::bigint AS bytes,
           (f.detail->>'bytes_per_day')::bigint AS bytes_per_day,
           (f.detail->>'free_bytes')::bigint AS free_bytes,
           m.taken_at + (f.detail->>'full_in_days')::float8 * interval '1 day' AS full_at
      FROM partition_playbook.measurements m
      JOIN partition_playbook.runs r USING (run_id)
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = r.table_schema
      LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = r.table_name
     CROSS JOIN LATERAL (
          SELECT coalesce((m.detail->>'silence_seconds')::float8 * interval '1 second', interval '35 days') AS silence) AS s
      -- The figures are those of a partitioned table.
      LEFT JOIN LATERAL (SELECT m.value, m.detail WHERE c.relkind = 'p') AS f ON true
     WHERE m.stage = 'health' AND m.name = 'bytes'
     ORDER BY r.table_schema, r.table_name, m.taken_at DESC;
    EXECUTE format('COMMENT ON VIEW partition_playbook.health IS %L', told);
END
$view$
