"""Programs that read the catalog or the stream are named before the cutover, in the plan and in the report."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity, check
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sections.decision import page, report
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.sections.preflight import after_cutover
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.preflight.known_clients import CLIENTS, TOOLS, Subject
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.tables import open_run
from tests.unit.test_page import Page

Connect = Callable[[], psycopg.Connection]
PARAMS = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "your-database.md"
STATISTICS = "CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()"
TABLE = """
CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, body text);
INSERT INTO events SELECT n, now() - n * interval '3 days', 'x' FROM generate_series(1, 30) n;
"""


@pytest.fixture
def events(connect: Connect, connection: psycopg.Connection) -> Run:
    send(connection, TABLE)
    return open_run(connect, TableSpec.model_validate({"table": "events", "partition_by": "at"}), "events-run")


def send(connection: psycopg.Connection, *statements: str) -> None:
    for each in statements:
        connection.execute(cast(Any, each))


def checks(run: Run) -> dict[str, Check]:
    return {each.name: each for each in preflight_checks(run, PARAMS)}


def names(found: Check) -> list[str]:
    return [each["name"] for each in found.evidence["readers"]]


SESSIONS = {
    "PostgreSQL JDBC Driver": "hibernate.hbm2ddl.extra_physical_table_types=PARTITIONED TABLE",
    "PostgREST 12.2.3": "NOTIFY pgrst, 'reload schema'",
    "Debezium Streaming": "message.key.columns=public.events:id",
    "bin/rails": "self.primary_key = :id",
    "datadog-agent": "pg_partition_tree",
    "Metabase v0.52": "Table Metadata",
}


def test_each_driver_is_told_by_the_name_of_its_sessions(events: Run, connect: Connect) -> None:
    opened = [connect() for _ in SESSIONS]
    for name, session in zip(SESSIONS, opened, strict=True):
        session.execute("SELECT set_config('application_name', %s, false)", (name,))
        session.commit()
    found = checks(events)["client_libraries"]
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.INFO)
    for name, remedy in SESSIONS.items():
        assert f"1 session {name!r}" in found.actual
        assert remedy in found.remedy
    for session in opened:
        session.close()
    assert checks(events)["client_libraries"].outcome is Outcome.PASSED


STATEMENTS = {
    "Hibernate": ("select e1_0.id,e1_0.body from events e1_0 where e1_0.id=1", "annotate at with @PartitionKey"),
    "PostgREST": ("WITH pgrst_source AS (SELECT * FROM events) SELECT count(*) FROM pgrst_source", "reload schema"),
    "Rails": ('SELECT "events".* FROM "events" WHERE "events"."id" = 1 LIMIT 1', "self.primary_key = :id"),
    "Prisma": ('SELECT "public"."events"."id" FROM "public"."events" WHERE 1=1 OFFSET 0', "@@id([id, at])"),
    "Hasura": ('SELECT json_agg("_root"."id") FROM (SELECT id FROM events) AS "_root"', "reload_metadata"),
}


def test_each_orm_is_told_by_the_form_of_its_statements(events: Run, connection: psycopg.Connection) -> None:
    send(connection, STATISTICS, "SELECT e.body FROM events AS e WHERE e.at < now()")
    assert checks(events)["client_libraries"].outcome is Outcome.PASSED
    send(connection, *(text for text, _ in STATEMENTS.values()))
    found = checks(events)["client_libraries"]
    assert names(found) == [each.name for each in CLIENTS if each.name in STATEMENTS]
    assert [remedy for _, remedy in STATEMENTS.values() if remedy not in found.remedy] == []


def test_sessions_and_statements_that_cannot_be_told_are_counted(events: Run, connect: Connect) -> None:
    with connect():
        found = checks(events)["client_libraries"]
    assert found.outcome is Outcome.PASSED
    assert "2 without application_name" in found.actual
    assert "pg_stat_statements is not installed" in found.actual


HISTORIES = {
    "Flyway": "flyway_schema_history (installed_rank int)",
    "Liquibase": "databasechangelog (id text)",
    "Atlas": "atlas_schema_revisions (version text)",
    "Prisma Migrate": "_prisma_migrations (id text)",
    "drizzle-kit": "drizzle.__drizzle_migrations (id int)",
    "Rails": "ar_internal_metadata (key text)",
    "schema_migrations (Ecto, golang-migrate, dbmate, Supabase)": "schema_migrations (version bigint)",
    "Alembic": "alembic_version (version_num text)",
    "Entity Framework": '"__EFMigrationsHistory" ("MigrationId" text)',
    "TypeORM": "migrations (id int, timestamp bigint, name text)",
}


def test_each_schema_tool_is_told_by_its_history_table(events: Run, connection: psycopg.Connection) -> None:
    assert checks(events)["schema_tools"].outcome is Outcome.PASSED
    send(connection, "CREATE SCHEMA drizzle", "CREATE TABLE migrations (id int)")
    assert checks(events)["schema_tools"].outcome is Outcome.PASSED
    send(connection, "DROP TABLE migrations", *(f"CREATE TABLE {each}" for each in HISTORIES.values()))
    found = checks(events)["schema_tools"]
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)
    assert set(names(found)) == set(HISTORIES)
    assert "drizzle-kit (drizzle.__drizzle_migrations)" in found.actual
    assert '"!events_y[12]*"' in found.remedy
    assert "--exclude 'public.events_y[12]*'" in found.remedy


def test_a_tool_that_only_runs_scripts_is_a_note(events: Run, connection: psycopg.Connection) -> None:
    send(connection, "CREATE TABLE flyway_schema_history (installed_rank int)")
    assert checks(events)["schema_tools"].severity is Severity.INFO


def test_a_recorded_size_query_is_a_note_because_its_table_is_not_recorded(
    events: Run, connection: psycopg.Connection
) -> None:
    assert checks(events)["size_queries"].outcome is Outcome.SKIPPED
    send(connection, STATISTICS)
    assert checks(events)["size_queries"].outcome is Outcome.PASSED, checks(events)["size_queries"].actual
    send(
        connection,
        "SELECT pg_total_relation_size('events')",
        "SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'events'",
    )
    found = checks(events)["size_queries"]
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.INFO)
    assert "1 call of SELECT pg_total_relation_size($1) (the name is not recorded)" in found.actual
    assert "pg_stat_user_tables" in found.actual


def test_a_dump_of_the_database_is_no_size_query(
    events: Run, connection: psycopg.Connection, dsn: str, programs: Path
) -> None:
    send(connection, STATISTICS)
    subprocess.run([programs / "pg_dump", "--schema-only", dsn], check=True, capture_output=True)
    assert checks(events)["size_queries"].outcome is Outcome.PASSED, checks(events)["size_queries"].actual


BY_NAME = {
    "view public.dashboard": "CREATE VIEW dashboard AS SELECT pg_total_relation_size('events'::text::regclass) AS size",
    "view public.counts": "CREATE VIEW counts AS SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'events'",
    "function public.size_of_events()": "CREATE FUNCTION size_of_events() RETURNS bigint LANGUAGE sql "
    "AS $$ SELECT pg_relation_size('events') $$",
}


@pytest.mark.parametrize("place", BY_NAME)
def test_a_definition_that_reads_the_size_of_the_table_is_a_warning(
    events: Run, connection: psycopg.Connection, place: str
) -> None:
    send(connection, BY_NAME[place])
    found = checks(events)["size_queries"]
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)
    assert place in found.actual


def test_the_queries_for_size_and_rows_are_right_before_and_after_partitioning(connection: psycopg.Connection) -> None:
    plain, parted = TableName("public", "It's"), TableName("public", "Parted")
    send(
        connection,
        """CREATE TABLE "It's" (at int)""",
        'CREATE TABLE "Parted" (at int) PARTITION BY RANGE (at)',
        'CREATE TABLE p1 PARTITION OF "Parted" FOR VALUES FROM (0) TO (10)',
        'CREATE TABLE p2 PARTITION OF "Parted" FOR VALUES FROM (10) TO (20)',
        """INSERT INTO "It's" SELECT generate_series(0, 19)""",
        'INSERT INTO "Parted" SELECT generate_series(0, 19)',
        "ANALYZE",
    )
    for table, files in ((plain, 1), (parted, 2)):
        size = connection.execute(cast(Any, after_cutover.size_of(table))).fetchone()
        rows = connection.execute(cast(Any, after_cutover.rows_of(table))).fetchone()
        assert size == (8192 * files,)
        assert rows == (20,)


@pytest.fixture
def slots(connection: psycopg.Connection) -> Iterator[dict[str, str]]:
    names = {plugin: f"{plugin}_{connection.info.dbname}" for plugin in ("pgoutput", "test_decoding")}
    for plugin, name in names.items():
        connection.execute("SELECT pg_create_logical_replication_slot(%s, %s)", (name, plugin))
    yield names
    for name in names.values():
        connection.execute("SELECT pg_drop_replication_slot(%s)", (name,))


def test_the_consumers_of_the_stream_are_told(
    events: Run, connection: psycopg.Connection, slots: dict[str, str]
) -> None:
    before = checks(events)
    assert before["stream_consumers"].outcome is Outcome.PASSED
    assert "test_decoding: AWS DMS" in before["output_plugins"].remedy
    send(connection, "CREATE PUBLICATION changes FOR TABLE events")
    found = checks(events)["stream_consumers"]
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.INFO)
    assert f"slot {slots['pgoutput']}; publications: changes" in found.actual
    assert "message.key.columns=public.events:id " in found.remedy
    assert "(id, at)" in found.remedy


def test_no_remedy_speaks_of_a_key_that_stays(connect: Connect, connection: psycopg.Connection) -> None:
    send(connection, TABLE, "ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (at, id)")
    spec = TableSpec.model_validate({"table": "events", "partition_by": "at"})
    run = open_run(connect, spec, "keyed-run")
    with connect() as other:
        other.execute("SET application_name = 'Debezium Streaming'")
        remedy = checks(run)["client_libraries"].remedy
    assert "message.key.columns" not in remedy
    assert "a DELETE and an INSERT" in remedy


def test_the_plan_and_the_report_have_every_reader_with_its_remedy(events: Run, connection: psycopg.Connection) -> None:
    send(connection, "CREATE TABLE _prisma_migrations (id text)", "CREATE TABLE ar_internal_metadata (key text)")
    ledger = replace(events.ledger, section="preflight")
    ledger.record_checks(preflight_checks(events, PARAMS))
    content = report.compose(RunRecord.read(events), PARAMS)
    rows = {each["name"]: each for each in content["after_cutover"]}
    assert list(rows) == list(after_cutover.TITLES)
    assert rows["schema_tools"] | {"remedy": ""} == {
        "name": "schema_tools",
        "title": "schema tools: Rails",
        "found": "seen",
        "actual": "public.ar_internal_metadata",
        "remedy": "",
    }
    assert "self.primary_key = :id" in rows["schema_tools"]["remedy"]
    assert [each["title"] for each in content["after_cutover"]][1:3] == [
        "schema tools: Prisma Migrate",
        "schema tools: Rails",
    ]
    assert rows["client_libraries"]["found"] == "not seen"
    assert rows["size_queries"]["found"] == rows["selective_dumps"]["found"] == "cannot be seen"

    planned = after_cutover.lines(preflight_checks(events, PARAMS))
    assert planned[0] == after_cutover.HEADING
    shown, text = Page(page.render(content)).text, report.render(content).replace("\\", "")
    for each in content["after_cutover"]:
        assert f"{each['title']}, {each['found']}: " in "\n".join(planned)
        assert each["remedy"] in shown
        assert each["remedy"].replace("\\", "") in text
        assert each["remedy"] in "\n".join(planned)
    assert after_cutover.HEADING in shown
    assert after_cutover.HEADING in text


def test_a_check_that_the_server_refuses_does_not_stop_a_run() -> None:
    refused = check("size_queries", False, expected="x", actual="permission denied")
    (made,) = after_cutover.never_blocking([refused])
    assert made.outcome is Outcome.SKIPPED
    assert "permission denied" in made.actual


def test_every_client_and_tool_has_a_remedy_and_is_in_the_document() -> None:
    subject = Subject("public", "events", "at", "id", "id, at", "id", ":id")
    text = DOCUMENT.read_text()
    for each in (*CLIENTS, *TOOLS):
        assert "$" not in each.told(subject).replace("~$", "")
        assert each.name.removeprefix("a ") in text, each.name
    assert [name for name in after_cutover.TITLES if f"`{name}`" not in text] == []
