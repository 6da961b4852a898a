"""Other programs that manage the same table are named; extensions that partition by themselves are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pendulum
import psycopg
import pytest

from partition_playbook import catalog
from partition_playbook.checks import Check, Outcome
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.preflight import runway, source
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection[Any]]
Connection = psycopg.Connection[Any]
TRIPS = {"table": "Yard.Trips", "partition_by": "left_at"}
SPEC = TableSpec.model_validate(TRIPS)
# The tables of the two extensions, as their scripts create them; the extensions need not be at hand.
PARTMAN = """CREATE SCHEMA p; CREATE TABLE p.part_config (parent_table text PRIMARY KEY, partition_interval text);
    INSERT INTO p.part_config VALUES ('Yard.Other', '1 mon')"""
CRON = """CREATE SCHEMA cron; CREATE TABLE cron.job (jobid bigint, schedule text, command text NOT NULL);
    INSERT INTO cron.job VALUES (1, '@daily', 'VACUUM "Yard"."Trips"'), (2, '@daily', 'DROP TABLE other')"""
CHUNK = """CREATE SCHEMA _timescaledb_internal;
    CREATE TABLE _timescaledb_internal._hyper_1_1_chunk () INHERITS ("Yard"."Trips")"""
CITUS = """CREATE FUNCTION citus_truncate_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER truncate_trigger_1 AFTER TRUNCATE ON "Yard"."Trips" EXECUTE FUNCTION citus_truncate_trigger()"""
MANAGERS = [
    (PARTMAN, "INSERT INTO p.part_config VALUES ('Yard.Trips', '1 mon')", "lists Yard.Trips in p.part_config"),
    (CRON, "INSERT INTO cron.job VALUES (7, '@daily', 'CALL drop_old(''Yard.Trips'')')", "cron.job 7 (CALL drop_old"),
]


def make_trips(connection: Connection, *, partitioned: bool) -> None:
    by = "PARTITION BY RANGE (left_at)" if partitioned else ""
    make = f'CREATE SCHEMA "Yard"; CREATE TABLE "Yard"."Trips" (id int, left_at timestamptz NOT NULL) {by}'
    connection.execute(make)  # type: ignore[call-overload]


def preflight(run: Run, name: str) -> Check:
    precondition = {"other_managers": runway.other_managers, "inheritance": source.inheritance, "runway": runway.runway}
    with run.database.session() as session:
        table = catalog.require(session, run.table)
        return precondition[name](PreflightContext(run, RunParams(), session, table))


@pytest.mark.parametrize(("tables", "entry", "actual"), MANAGERS)
def test_another_manager_of_the_same_table_is_a_warning(
    connection: Connection, connect: Connect, tables: str, entry: str, actual: str
) -> None:
    make_trips(connection, partitioned=True)
    connection.execute(tables)  # type: ignore[call-overload]
    run = open_run(connect, SPEC, "run", "maintenance")
    assert preflight(run, "other_managers").outcome is Outcome.PASSED
    connection.execute(entry)  # type: ignore[call-overload]
    found = preflight(run, "other_managers")
    assert (found.outcome, found.blocks) == (Outcome.FAILED, False)
    assert actual in found.actual
    done = maintain(run, MaintenanceParams())
    assert done.summary["health"]["problems"] == ["other_managers"]
    assert done.summary["health"]["status"] == "yellow"


@pytest.mark.parametrize(
    ("statements", "name", "remedy"),
    [(CHUNK, "TimescaleDB", "Do not detach its chunks"), (CITUS, "Citus", "undistribute_table()")],
)
def test_a_table_that_another_extension_partitions_is_refused_by_its_name(
    connection: Connection, connect: Connect, statements: str, name: str, remedy: str
) -> None:
    make_trips(connection, partitioned=False)
    run = open_run(connect, SPEC, "run", "plan")
    assert preflight(run, "inheritance").outcome is Outcome.PASSED
    connection.execute(statements)  # type: ignore[call-overload]
    found = preflight(run, "inheritance")
    assert found.blocks
    assert name in found.actual
    assert remedy in found.remedy
    assert "NO INHERIT" not in found.remedy


def test_too_short_a_runway_is_refused_in_preflight(connection: Connection, connect: Connect) -> None:
    make_trips(connection, partitioned=False)
    short = TableSpec.model_validate(TRIPS | {"interval": "day", "premake": 3, "maintain": "monthly"})
    first = open_run(connect, short, "short")
    found = preflight(first, "runway")
    assert found.blocks
    first.ledger.close("no-go")
    assert "`premake: 62`" in found.remedy
    assert "`maintain: daily`" in found.remedy
    assert preflight(open_run(connect, SPEC, "long"), "runway").outcome is Outcome.PASSED


def test_maintenance_of_a_daily_table_with_few_days_ahead_is_not_green(
    connection: Connection, connect: Connect
) -> None:
    make_trips(connection, partitioned=True)
    short = TableSpec.model_validate(TRIPS | {"interval": "day", "premake": 1, "maintain": "weekly"})
    done = maintain(open_run(connect, short, "short", "maintenance"), MaintenanceParams())
    assert done.summary["health"]["problems"] == ["runway"]
    usual = TableSpec.model_validate(TRIPS | {"interval": "day"})
    done = maintain(open_run(connect, usual, "usual", "maintenance"), MaintenanceParams())
    assert done.summary["health"]["status"] == "green"
    connection.execute('INSERT INTO "Yard"."Trips" VALUES (1, %s)', (pendulum.now("UTC").add(days=61),))
