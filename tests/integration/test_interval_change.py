"""The interval of a maintained table is changed while an application writes: no row is refused and none is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, pairwise
from typing import Any

import psycopg
import pytest
from pendulum import DateTime
from psycopg import sql

from partition_playbook.checks import Outcome
from partition_playbook.intervals import Interval, between
from partition_playbook.maintenance import interval_change
from partition_playbook.maintenance.health import Health
from partition_playbook.maintenance.maintain import Maintained, inspect, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.read_state import read_state
from partition_playbook.run import Run
from tests.fixtures.moments import now, this_month
from tests.fixtures.tables import open_run
from tests.integration.test_maintenance import (
    MIXED,
    add_partition,
    exists,
    make_table,
    mixed_spec,
    months,
    outcome,
    partitions,
    shape,
)

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
DRY = MaintenanceParams(dry_run=True)
REAL = MaintenanceParams()
INSERT = 'INSERT INTO "Plant A"."Sensor Readings" ("order", "Recorded At", "Value") VALUES (%s, %s, %s) RETURNING "Id"'
RUNS = count(1)


def opened(connect: Connect, **values: object) -> Run:
    """Open a run of maintenance of its own: the ledger keeps the spec of each."""
    return open_run(connect, mixed_spec(**values), f"interval-change-{next(RUNS)}", "maintenance")


class Writer(threading.Thread):
    """An application that inserts rows at the given moments, by turns, and notes what was committed and refused."""

    def __init__(self, connect: Connect, moments: Sequence[DateTime]) -> None:
        super().__init__(daemon=True)
        self.connect, self.moments = connect, moments
        self.committed: dict[int, DateTime] = {}
        self.refused: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Insert until ended."""
        with self.connect() as connection:
            connection.autocommit = True
            for number in count():
                if self.ended.wait(0.002):
                    return
                moment = self.moments[number % len(self.moments)]
                try:
                    ((key,),) = connection.execute(INSERT, (1 + number % 5, moment, number)).fetchall()
                except psycopg.Error as error:
                    self.refused.append(f"{moment}: {error}")
                else:
                    self.committed[key] = moment


@contextmanager
def writing(connect: Connect, moments: Sequence[DateTime]) -> Iterator[list[Writer]]:
    """Write with two threads until the block ends, at least once each."""
    writers = [Writer(connect, moments), Writer(connect, list(reversed(moments)))]
    for each in writers:
        each.start()
    try:
        yield writers
    finally:
        for each in writers:
            each.ended.set()
            each.join()


def assert_nothing_lost(connection: Connection, writers: Sequence[Writer]) -> None:
    assert [each for writer in writers for each in writer.refused] == []
    committed = {key: moment for each in writers for key, moment in each.committed.items()}
    assert len(committed) > 20, "the writers stood still, so nothing was proved"
    query = 'SELECT "Id", "Recorded At" FROM "Plant A"."Sensor Readings" WHERE "Id" = ANY (%s)'
    assert dict(connection.execute(query, (list(committed),)).fetchall()) == committed


def failures(done: Maintained) -> list[str]:
    return [str(each) for each in done.checks if each.outcome is Outcome.FAILED]


def names(interval: Interval, first: DateTime, last: DateTime) -> list[str]:
    return [MIXED.partition(each.suffix).name for each in between(interval, first, last)]


def told(done: Maintained) -> str:
    return next((each.actual for each in done.checks if each.name == interval_change.INTERVAL_CHANGE), "")


def judged(run: Run) -> Health:
    found = inspect(run)[1]
    assert found is not None
    return found


MONTHLY = {"premake": 1, "retention": {"keep": "3 months", "grace": "0 days", "max_share": 1}}
DAILY = MONTHLY | {"interval": "day", "premake": 70}


@pytest.mark.parametrize("default", [True, False])
def test_days_follow_the_last_month_while_rows_come_on_both_sides_of_the_bound(
    connection: Connection, connect: Connect, default: bool
) -> None:
    make_table(connection, back=4, ahead=1, default=default)
    assert failures(maintain(opened(connect, **MONTHLY), REAL)) == []
    change, horizon = this_month().add(months=2), now().start_of("day").add(days=70)
    days = names(Interval.DAY, change, horizon)
    assert days
    before = shape(connection)

    shown = maintain(opened(connect, **DAILY), DRY)
    assert shown.summary["would_create"] == days
    kept = f"partitions of one month stay up to {change.isoformat(timespec='minutes')}"
    assert told(shown).endswith(f"{kept}; partitions of one day begin at {change.isoformat(timespec='minutes')}")
    assert shape(connection) == before

    last = change.subtract(microseconds=1)
    beyond = [change, change.add(days=1), horizon] if default else []
    with writing(connect, [now(), last, *beyond]) as writers:
        run = opened(connect, **DAILY)
        done = maintain(run, REAL)
        again = maintain(opened(connect, **DAILY), REAL)
    assert_nothing_lost(connection, writers)
    assert (failures(done), failures(again)) == ([], [])
    assert sorted(done.summary["created"]) == days
    assert again.summary["created"] == again.summary["dropped"] == []

    (month, *_), *_ = months(3, 1)
    stay = [name.name for name, _, _ in months(3, 1)]
    assert set(partitions(connection)) == {*stay, *days, *([MIXED.default.name] if default else [])}
    assert [exists(connection, name) for name, _, _ in months(4, -4)] == [False], "retention goes on for the months"
    found = judged(run)
    assert (found.facts.gaps, found.facts.ahead, found.problems) == (0, 1 + len(days), ())
    assert found.facts.partitions_end == horizon.add(days=1)
    assert (outcome(done, "unmanaged_partitions"), told(again)) == (Outcome.PASSED, "")

    like = "SELECT reloptions FROM pg_class WHERE oid = %s::regclass"
    first = MIXED.partition(change.format("[y]YYYY[m]MM[d]DD")).identifier.as_string()
    assert (
        connection.execute(like, (first,)).fetchone()
        == connection.execute(like, (month.identifier.as_string(),)).fetchone()
    )


def test_days_go_on_up_to_the_next_month(connection: Connection, connect: Connect) -> None:
    make_table(connection, back=-1, ahead=-2)
    end = this_month().add(months=2, days=3)
    for each in between(Interval.DAY, now().subtract(days=2), end.subtract(days=1)):
        add_partition(connection, MIXED.partition(each.suffix), each.lower, each.upper)
    daily = {"interval": "day", "premake": 1, "retention": None}
    assert failures(maintain(opened(connect, **daily), REAL)) == []

    change = this_month().add(months=3)
    coming = names(Interval.DAY, end, change.subtract(days=1)) + names(Interval.MONTH, change, change)
    monthly = {"premake": 3, "retention": None}
    assert "until then partitions of one day go on" in told(maintain(opened(connect, **monthly), DRY))
    with writing(connect, [now(), end.subtract(microseconds=1), end, change, change.add(days=20)]) as writers:
        run = opened(connect, **monthly)
        done = maintain(run, REAL)
    assert_nothing_lost(connection, writers)
    assert failures(done) == []
    assert sorted(done.summary["created"]) == sorted(coming)
    assert (judged(run).facts.gaps, judged(run).problems) == (0, ())

    with run.database.session() as session:
        state = read_state(run, session)
    ends = [ranged for each in state.partitions if (ranged := each.ends(run.spec.codec))]
    assert all(left[1] == right[0] for left, right in pairwise(sorted(ends)))  # type: ignore[type-var]
    assert told(maintain(opened(connect, **monthly), REAL)) == ""


def test_an_interval_that_only_a_dry_run_had_is_no_earlier_one(connection: Connection, connect: Connect) -> None:
    """A partition of the interval that was never really maintained is never retired."""
    make_table(connection, back=0, ahead=1)
    old = this_month().subtract(years=6).start_of("year")
    add_partition(connection, MIXED.sibling("_history"), old, old.add(years=1))
    run = opened(connect, interval="year")
    connection.execute(
        "UPDATE partition_playbook.runs SET params = '{\"dry_run\": true}' WHERE run_id = %s", (run.ledger.run_id,)
    )
    for _ in range(2):
        done = maintain(opened(connect, **MONTHLY), REAL)
        assert failures(done)[0].startswith("warn unmanaged_partitions")
    assert exists(connection, MIXED.sibling("_history"))


@pytest.mark.parametrize(("kind", "zone"), [("timestamp", "UTC"), ("timestamptz", "Asia/Kolkata"), ("date", "UTC")])
def test_the_zone_of_an_earlier_interval_counts_only_for_moments(
    connection: Connection, connect: Connect, kind: str, zone: str
) -> None:
    """In a column without a time zone, days of Berlin are days of any zone; moments of two zones share no midnight."""
    make_table(connection, back=-1, ahead=-2, default=False)
    alter = sql.SQL('DROP TABLE {0}; CREATE TABLE {0} ("Recorded At" {1} NOT NULL) PARTITION BY RANGE ("Recorded At")')
    connection.execute(alter.format(MIXED.identifier, sql.SQL(kind)))
    berlin = {"interval": "day", "timezone": "Europe/Berlin", "premake": 2, "retention": None}
    assert failures(maintain(opened(connect, **berlin), REAL)) == []
    done = maintain(opened(connect, timezone=zone, premake=1, retention=None, maintain="daily"), REAL)
    assert outcome(done, "unmanaged_partitions") is Outcome.PASSED
    assert [each.split()[1] for each in failures(done)] == (["interval_change:"] if kind == "timestamptz" else [])
