"""Preflight measures the planning time of the spec's queries with the planned partitions, before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook.checks import Check, Outcome, Severity, Verdict
from partition_playbook.database import Database
from partition_playbook.run import Run
from partition_playbook.sections.preflight import planning_time
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.footprint import objects
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection[Any]]
PARAMS = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
NAME = planning_time.NAME
TRIPS = """
CREATE TABLE trips (id bigint PRIMARY KEY, began {kind} NOT NULL, driver int, rider int, fare numeric, note text);
CREATE INDEX ON trips (began);
CREATE INDEX ON trips (driver, began);
CREATE INDEX ON trips (rider, began);
CREATE INDEX ON trips (fare) WHERE fare > 100;
INSERT INTO trips SELECT n, now() - random() * interval '{days} days', n % 7, n % 9, n, ''
  FROM generate_series(1, {rows}) AS n;
ANALYZE trips
"""
RECENT = "SELECT * FROM {table} WHERE {partition_by} >= now() - interval '1 day' ORDER BY {partition_by} DESC LIMIT 100"
WHOLE = "SELECT * FROM {table} WHERE {partition_by} >= {interval_start} AND {partition_by} < {interval_end} LIMIT 100"
BY_NOW = {"name": "recent", "sql": RECENT, "since": "now() - interval '1 day'"}
BY_VALUES = {"name": "of_one", "sql": WHOLE, "since": "{interval_start}", "until": "{interval_end}"}


def trips(
    connection: psycopg.Connection[Any], connect: Connect, kind: str = "timestamptz", days: int = 12, **spec: object
) -> Run:
    connection.execute(TRIPS.format(kind=kind, days=days, rows=2_000))  # type: ignore[call-overload]
    given = {"table": "trips", "partition_by": "began", "interval": "hour", "queries": [BY_NOW]} | spec
    return open_run(connect, TableSpec.model_validate(given), "trips")


def checked(run: Run, params: RunParams = PARAMS) -> Check:
    (found,) = (each for each in preflight_checks(run, params) if each.name == NAME)
    return found


def test_a_read_that_is_planned_for_hundreds_of_hours_stops_the_run_before_anything_is_built(
    connection: psycopg.Connection[Any], connect: Connect
) -> None:
    run = trips(connection, connect, queries=[BY_NOW, BY_VALUES])
    before = objects(connection)
    found = checked(run)
    assert objects(connection) == before
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.ERROR)
    assert found.evidence["measured_with"] == planning_time.MOST_PARTITIONS < found.evidence["partitions"]
    assert f"with {found.evidence['partitions']} partitions: recent: at least " in found.actual
    assert "of_one" not in found.actual
    assert "`interval: day` for about " in found.remedy
    assert "go_no_go_preflight" in found.remedy
    assert Verdict.of("preflight", [found]).waivable


@pytest.mark.parametrize("interval", ["month", "week"])
def test_few_partitions_are_planned_fast(connection: psycopg.Connection[Any], connect: Connect, interval: str) -> None:
    found = checked(trips(connection, connect, interval=interval, premake=3, maintain="daily"))
    assert found.outcome is Outcome.PASSED
    assert " at most" in found.actual


def test_a_read_with_values_prunes_in_the_plan(connection: psycopg.Connection[Any], connect: Connect) -> None:
    assert checked(trips(connection, connect, queries=[BY_VALUES])).outcome is Outcome.PASSED


def test_a_long_read_is_not_slowed_down_by_its_planning(connection: psycopg.Connection[Any], connect: Connect) -> None:
    slow = "SELECT pg_sleep(2), count(*) FROM {table} WHERE {partition_by} >= now() - interval '1 day'"
    run = trips(connection, connect, queries=[{"name": "slow", "sql": slow, "since": "now() - interval '1 day'"}])
    found = checked(run)
    assert found.outcome is Outcome.PASSED
    assert found.evidence["slow"]["planning_ms"][0] > 0


def test_synthetic_rows_that_are_still_to_come_make_it_a_warning(
    connection: psycopg.Connection[Any], connect: Connect
) -> None:
    run = trips(connection, connect, days=1)
    params = PARAMS.model_copy(update={"synthetic_rows": 10_000, "allow_existing_rows": True})
    found = checked(run, params)
    assert found.evidence["partitions"] > 15 * 24, "those of the synthetic rows"
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)


def test_mode_plan_makes_no_temporary_table(connection: psycopg.Connection[Any], connect: Connect) -> None:
    found = checked(trips(connection, connect), RunParams(mode="plan"))
    assert found.outcome is Outcome.SKIPPED
    assert "mode rehearse and migrate" in found.actual


KINDS = {
    "timestamp": {},
    "date": {"interval": "day"},
    "with since": {"since": "2026-01-01", "interval": "day"},
    "without a default": {"default_partition": "none"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_column_can_be_planned(connection: psycopg.Connection[Any], connect: Connect, kind: str) -> None:
    types = {"timestamp": "timestamp", "date": "date"}
    run = trips(connection, connect, kind=types.get(kind, "timestamptz"), **KINDS[kind])
    assert checked(run).evidence["recent"]["planning_ms"][0] > 0


@pytest.mark.parametrize(
    ("column", "spec"),
    [("uuid", {"encoding": "uuidv7", "interval": "day"}), ("bigint", {"interval": 1000, "premake": 100})],
)
def test_keys_and_ids_can_be_planned(
    connection: psycopg.Connection[Any], connect: Connect, column: str, spec: dict[str, object]
) -> None:
    connection.execute(f"CREATE TABLE hops (id {column} PRIMARY KEY, note text)")  # type: ignore[call-overload]
    run = open_run(connect, TableSpec.model_validate({"table": "hops", "partition_by": "id"} | spec), "hops")
    found = checked(run)
    assert found.outcome is not Outcome.SKIPPED, found.actual
    assert {query.name for query in run.spec.queries} <= found.evidence.keys()


@pytest.fixture
def without_temporary(connection: psycopg.Connection[Any], dsn: str) -> Iterator[str]:
    """Return the connection string of a role that may create no temporary table."""
    database = connection.info.dbname
    connection.execute(f'REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC')  # type: ignore[call-overload]
    connection.execute("CREATE ROLE traveller LOGIN PASSWORD 'x'")
    yield make_conninfo(dsn, user="traveller", password="x")
    connection.execute("DROP OWNED BY traveller")
    connection.execute("DROP ROLE traveller")


def test_a_role_without_temporary_tables_is_told_how_to_measure(
    connection: psycopg.Connection[Any], connect: Connect, without_temporary: str
) -> None:
    run = trips(connection, connect)
    connection.execute("GRANT SELECT ON trips TO traveller")
    found = checked(Run(run.spec, Database(partial(psycopg.connect, without_temporary)), run.ledger))
    assert found.outcome is Outcome.SKIPPED
    assert "GRANT TEMPORARY ON DATABASE" in found.actual
