"""Days in zones whose clock changes at midnight: migrated, maintained, and refused if the server knows other rules."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pendulum import Timezone
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.checks import Check, Outcome
from partition_playbook.engine import verify
from partition_playbook.engine.rollback import roll_back
from partition_playbook.errors import UnknownTimeZone
from partition_playbook.intervals import Interval, bounds_at, in_zone
from partition_playbook.maintenance import waiting
from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.lifecycle.checks import lifecycle_checks
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.retention_benefit import measure_benefit
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.sections.validation.partitions import partition_check
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.migration import migrate
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
KINDS = ("timestamptz", "timestamp", "date")
REHEARSE = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
# With now() hundreds of days are planned for longer than a read of these few rows takes.
A_DAY = {
    "name": "a_day",
    "sql": "SELECT * FROM {table} WHERE {partition_by} >= {interval_start} AND {partition_by} < {interval_end}",
    "since": "{interval_start}",
    "until": "{interval_end}",
    "criterion": False,
}
LATEST_CHANGE = """
SELECT max(day)::date
  FROM generate_series(localtimestamp::date - interval '1 year', localtimestamp, '1 day') AS day
 WHERE day::timestamptz::timestamp <> day
"""
VISITS = """
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at {kind} NOT NULL);
INSERT INTO visits (at) SELECT moment FROM generate_series({day} - interval '30 hours', {day} + interval '30 hours',
       '30 minutes') AS moment
"""


def set_zone(connection: Connection, zone: str) -> None:
    connection.execute("SELECT set_config('TimeZone', %s, false)", (zone,))


def run_on(connect: Connect, section: str = "migration", **values: object) -> Run:
    spec = {"table": "visits", "partition_by": "at", "interval": "day", "queries": [A_DAY]} | values
    return open_run(connect, TableSpec.model_validate(spec), section)


def rows(connection: Connection) -> list[Any]:
    return connection.execute("SELECT id, at::text FROM visits ORDER BY id").fetchall()


def blocking(checks: list[Check]) -> list[str]:
    return [str(each) for each in checks if each.blocks]


@pytest.mark.parametrize("kind", KINDS)
def test_days_without_a_midnight_are_migrated_and_rolled_back(
    connection: Connection, connect: Connect, kind: str
) -> None:
    set_zone(connection, "America/Santiago")
    (day,) = connection.execute(LATEST_CHANGE).fetchone() or (None,)
    start = sql.SQL("{}::{}").format(day, sql.SQL("timestamptz" if kind == "timestamptz" else "timestamp"))
    connection.execute(sql.SQL(VISITS).format(kind=sql.SQL(kind), day=start))
    before = rows(connection)
    run = run_on(connect, timezone="America/Santiago")
    assert blocking(preflight_checks(run, REHEARSE)) == []

    migrate(run)
    assert rows(connection) == before
    assert blocking(validation_checks(run)) == []
    held = connection.execute(
        "SELECT tableoid::regclass::text, min(at)::date, max(at)::date FROM visits GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert all(first == last and name == f"visits_{first:y%Ym%md%d}" for name, first, last in held)
    assert day in {first for _, first, _ in held}

    roll_back(run)
    assert rows(connection) == before


def maintained(run: Run, as_of: str) -> Maintained:
    done = maintain(run, MaintenanceParams(as_of=as_of))
    failed = {each.name for each in done.checks if each.outcome is Outcome.FAILED}
    # The clock of the test is not the server's, and these tables keep few partitions ahead.
    assert failed <= {"parent_analyzed", "disk_lasts", "runway"}
    return done


def daily(connection: Connection, zone: str, kind: str, days: tuple[str, ...]) -> None:
    """Make a table with a partition from each day to the next, in the server's own words."""
    set_zone(connection, zone)
    connection.execute(f"CREATE TABLE visits (at {kind} NOT NULL) PARTITION BY RANGE (at)")  # type: ignore[call-overload]
    for lower, upper in pairwise(days):
        name = sql.Identifier(f"visits_{lower.replace('-', '')}")
        statement = sql.SQL("CREATE TABLE {} PARTITION OF visits FOR VALUES FROM ({}) TO ({})")
        connection.execute(statement.format(name, lower, upper))


@pytest.mark.parametrize("kind", KINDS)
def test_a_daily_table_without_a_default_gets_the_days_around_the_change(
    connection: Connection, connect: Connect, kind: str
) -> None:
    daily(connection, "Africa/Cairo", kind, ("2027-04-26", "2027-04-27", "2027-04-28"))
    run = run_on(connect, "maintenance", timezone="Africa/Cairo", premake=5, default_partition="none")
    done = maintained(run, "2027-04-27T00:00:00+02:00")
    assert done.summary["created"] == [f"visits_y2027m{day}" for day in ("04d28", "04d29", "04d30", "05d01", "05d02")]
    wall_clocks = ("2027-04-29 23:59:59.999999", "2027-04-30 00:30", "2027-04-30 01:00", "2027-05-01 12:00")
    for each in wall_clocks:
        connection.execute("INSERT INTO visits VALUES (%s)", (each,))
    found = connection.execute("SELECT tableoid::regclass::text FROM visits ORDER BY at, 1").fetchall()
    assert [name[-5:] for (name,) in found] == ["04d29", "04d30", "04d30", "05d01"]
    later = maintained(run, "2027-05-01T12:00:00+03:00")
    assert later.summary["created"] == [f"visits_y2027m05d0{day}" for day in (3, 4, 5, 6)]


@pytest.mark.parametrize(
    ("kind", "doubled", "held"),
    [
        ("timestamptz", ("2027-10-31 02:30+02", "2027-10-31 02:30+01"), ["31h00", "31h01"]),
        ("timestamp", ("2027-10-31 02:30", "2027-10-31 02:30"), ["31h02", "31h02"]),
    ],
)
def test_an_hour_that_a_clock_shows_twice_is_two_hours_of_utc_or_one_of_a_wall_clock(
    connection: Connection, connect: Connect, kind: str, doubled: tuple[str, str], held: list[str]
) -> None:
    daily(connection, "Europe/Berlin", kind, ())
    run = run_on(connect, "maintenance", interval="hour", premake=3, default_partition="none")
    done = maintained(run, "2027-10-30T23:10:00+00:00")
    assert done.summary["created"] == [f"visits_y2027m10d{hour}" for hour in ("30h23", "31h00", "31h01", "31h02")]
    for each in doubled:
        connection.execute("INSERT INTO visits VALUES (%s)", (each,))
    found = connection.execute("SELECT tableoid::regclass::text FROM visits ORDER BY 1").fetchall()
    assert [name[-5:] for (name,) in found] == held
    later = maintained(run, "2027-10-31T01:00:00+00:00")
    assert later.summary["created"] == [f"visits_y2027m10d31h0{hour}" for hour in (3, 4)]


def test_partitions_that_begin_at_the_second_midnight_are_managed(connection: Connection, connect: Connect) -> None:
    daily(connection, "America/Havana", "timestamptz", ("2027-11-05", "2027-11-06", "2027-11-07"))
    run = run_on(connect, "maintenance", timezone="America/Havana", premake=2, default_partition="none")
    maintained(run, "2027-11-06T12:00:00-04:00")
    for each in ("2027-11-07 00:30-04", "2027-11-07 00:30-05"):
        connection.execute("INSERT INTO visits VALUES (%s)", (each,))
    with run.database.session() as session:
        edges = [each.edges for each in catalog.partitions(session, run.table) if each.edges]
    assert {lower for lower, _ in edges[1:]} <= {upper for _, upper in edges}


CHANGES = [
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),
    ("America/Nuuk", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=[zone for zone, _ in CHANGES])
def test_the_server_counts_waiting_rows_by_the_same_intervals(
    connection: Connection, connect: Connect, kind: str, zone: str, change: datetime
) -> None:
    daily(connection, zone, kind, ())
    connection.execute("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    clock = change if kind == "timestamptz" else change.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
    found: list[Any] = [clock + count * timedelta(minutes=15) for count in range(-200, 200)]
    if kind == "date":
        found = [each.date() for each in found]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO visits VALUES (%s)", [(each,) for each in found])
    intervals = {"day": zone, "2 days": zone} | ({} if kind == "date" else {"hour": "UTC", "6 hours": "UTC"})
    for text, name in intervals.items():
        spec = TableSpec.model_validate({"table": "visits", "partition_by": "at", "interval": text, "timezone": name})
        run = open_run(connect, spec, f"upkeep by {text}", "maintenance")
        with run.database.session() as session:
            default = next(each for each in catalog.partitions(session, run.table) if each.is_default)
            counted = waiting.find(run, session, default).rows
        assert counted == Counter(bounds_at(Interval.parse(text), in_zone(each, name)) for each in found)


def test_a_day_shown_twice_counts_in_both_intervals(connection: Connection, connect: Connect) -> None:
    daily(connection, "America/St_Johns", "timestamptz", ())
    connection.execute("CREATE TABLE visits_default PARTITION OF visits DEFAULT")
    for hour in ("2010-11-06 23:30-02:30", "2010-11-06 23:30-03:30"):  # an hour after, it is past midnight already
        connection.execute("INSERT INTO visits VALUES (%s)", (hour,))
    run = run_on(connect, "maintenance", timezone="America/St_Johns")
    with run.database.session() as session:
        default = next(each for each in catalog.partitions(session, run.table) if each.is_default)
        counted = waiting.find(run, session, default).rows
    assert {each.suffix: count for each, count in counted.items()} == {"y2010m11d06": 2, "y2010m11d07": 2}


@pytest.mark.parametrize("lower", ["-infinity", "0044-03-15 BC"])
def test_a_partition_outside_the_calendar_stops_no_section(
    connection: Connection, connect: Connect, migrated: Run, lower: str
) -> None:
    benchmark(migrated, "before")
    statement = "CREATE TABLE ancient PARTITION OF sensor_readings FOR VALUES FROM ({}) TO ('1900-01-01')"
    connection.execute(sql.SQL(statement).format(lower))

    compared, _ = verify.compare(migrated)
    assert all(each.equal for each in compared)
    with migrated.database.session() as session:
        check = partition_check(migrated, session)
    assert (check.outcome, "ancient" in check.actual) == (Outcome.FAILED, True)
    assert all(each.outcome is Outcome.PASSED for each in pruning_checks(migrated, 0.0) if "pruned" in each.name)
    measure_benefit(migrated)

    upkeep = open_run(connect, migrated.spec, "upkeep", "maintenance")
    done = maintain(upkeep, MaintenanceParams())
    upkeep.ledger.record_checks(done.checks)
    upkeep.ledger.close("go")
    assert "ancient" in next(each for each in done.checks if each.name == "unmanaged_partitions").actual
    found = {each.name: each.outcome for each in lifecycle_checks(migrated, upkeep.ledger, 3)}
    assert found["future_partitions"] is Outcome.PASSED


@pytest.fixture
def on_the_worker(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """Return a function that gives the worker a zone with the rules of another one."""
    made = []

    def make(name: str, like: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files("tzdata").joinpath("zoneinfo", *like.split("/")).read_bytes())
        made.append(name)
        forget()

    def forget() -> None:
        for kind in (zoneinfo.ZoneInfo, Timezone):
            kind.clear_cache(only_keys=made)

    zoneinfo.reset_tzpath([str(tmp_path), *zoneinfo.TZPATH])
    yield make
    zoneinfo.reset_tzpath()
    forget()


def test_a_zone_that_the_server_does_not_know_is_refused_by_name(
    connection: Connection, connect: Connect, on_the_worker: Callable[[str, str], None]
) -> None:
    on_the_worker("Europe/Kyjiw", "Europe/Kyiv")
    connection.execute("CREATE TABLE visits (id int PRIMARY KEY, at timestamptz NOT NULL)")
    run = run_on(connect, timezone="Europe/Kyjiw")
    checks = {each.name: each for each in preflight_checks(run, REHEARSE)}
    assert [name for name, each in checks.items() if each.blocks] == ["time_zone"]
    assert "Europe/Kiev" in checks["time_zone"].remedy
    with pytest.raises(UnknownTimeZone, match="Europe/Kyjiw"), run.database.session():
        pass
    mended = run_on(connect, timezone="Europe/Kiev")
    assert blocking(preflight_checks(mended, REHEARSE)) == []


@pytest.mark.parametrize(("kind", "refused"), [("timestamptz", ["time_zone"]), ("timestamp", []), ("date", [])])
def test_a_zone_with_other_rules_on_the_server_is_refused_by_name(
    connection: Connection,
    connect: Connect,
    on_the_worker: Callable[[str, str], None],
    kind: str,
    refused: list[str],
) -> None:
    on_the_worker("America/Punta_Arenas", "America/Santiago")
    statement = "CREATE TABLE visits (id int PRIMARY KEY, at {0} NOT NULL); INSERT INTO visits VALUES (1, now())"
    connection.execute(sql.SQL(statement).format(sql.SQL(kind)))
    connection.execute("INSERT INTO visits VALUES (2, now() - interval '200 days')")
    run = run_on(connect, timezone="America/Punta_Arenas")
    checks = {each.name: each for each in preflight_checks(run, REHEARSE)}
    assert [name for name, each in checks.items() if each.blocks] == refused
    if refused:
        assert "on the server" in checks["time_zone"].actual


def test_the_ledger_does_without_the_zone(connect: Connect, on_the_worker: Callable[[str, str], None]) -> None:
    on_the_worker("Mars/Olympus", "Europe/Berlin")
    run = run_on(connect, timezone="Mars/Olympus")
    with run.database.or_utc().session() as session:
        assert session.connection.execute("SHOW TimeZone").fetchone() == {"TimeZone": "UTC"}
