-- purpose: Create the ledger: runs, loads, statistics, measurements, checks and events
-- params: none
-- returns: none
-- lock: ACCESS EXCLUSIVE on the ledger's own new tables
-- transaction: one
-- rerun: safe because what is there is left as it is
DO $schema$
BEGIN
    -- IF NOT EXISTS would ask for CREATE on the database and for the schema's ownership where both are somebody else's.
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

DO $indexes$
BEGIN
    -- IF NOT EXISTS would ask for the tables' ownership.
    IF to_regclass('partition_playbook.events_run') IS NULL THEN
        CREATE INDEX runs_table ON partition_playbook.runs (table_schema, table_name, started_at);
        CREATE INDEX checks_run ON partition_playbook.checks (run_id, section, name, check_id);
        CREATE INDEX events_run ON partition_playbook.events (run_id, event_id);
    END IF;
END
$indexes$
