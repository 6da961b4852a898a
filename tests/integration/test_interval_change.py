"""The interval of a maintained table is changed while an application writes: no row is refused and none is lost."""

from __future__ import annotations

import threading
import time
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
from partition_playbook.maintenance import copies, interval_change
from partition_playbook.maintenance.copies import stop_capture
from partition_playbook.maintenance.health import Health
from partition_playbook.maintenance.maintain import Maintained, inspect, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.read_state import read_state
from partition_playbook.names import TableName
from partition_playbook.run import Run
from tests.fixtures.moments import now, this_month
from tests.fixtures.tables import open_run
from tests.integration.test_maintenance import (
    MIXED,
    add_partition,
    contents,
    exists,
    make_table,
    mixed_spec,
    months,
    outcome,
    partitions,
    shape,
    statements,
)
from tests.integration.test_maintenance_split import counts, leftovers

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


class Editor(threading.Thread):
    """An application that changes, moves and deletes the rows of two months, and keeps a record."""

    def __init__(self, connect: Connect, old: DateTime, later: DateTime) -> None:
        super().__init__(daemon=True)
        self.connect, self.old, self.later = connect, old, later
        self.expected: dict[int, DateTime | None] = {}
        self.edits = 0
        self.error: Exception | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        """Edit until ended."""
        try:
            with self.connect() as connection:
                connection.autocommit = True
                while not self.ended.wait(0.003):
                    self._edit(connection, 1 + self.edits % 1_900)
                    self.edits += 1
        except psycopg.Error as error:
            self.error = error

    def _edit(self, connection: Connection, key: int) -> None:
        match self.edits % 3:
            case 0:  # to another day of the same month, or to the other month
                moment = (self.old if self.edits % 2 else self.later).add(days=self.edits % 27, seconds=key)
                change = 'UPDATE "Plant A"."Sensor Readings" SET "Recorded At" = %s, "Value" = 7 WHERE "Id" = %s'
                if connection.execute(change, (moment, key)).rowcount:
                    self.expected[key] = moment
            case 1:
                connection.execute('DELETE FROM "Plant A"."Sensor Readings" WHERE "Id" = %s', (key,))
                self.expected[key] = None
            case 2:
                connection.execute('UPDATE "Plant A"."Sensor Readings" SET "Value" = 8 WHERE "Id" = %s', (key,))

    def goes_on(self, more: int = 30) -> None:
        """Wait until there were some more edits."""
        wanted = self.edits + more
        while self.edits < wanted and self.error is None and self.is_alive():
            time.sleep(0.005)

    def differences(self, before: Sequence[Any], after: Sequence[Any]) -> list[Any]:
        """Return the rows that are not where the record has them."""
        wanted = {row[0]: row[2] for row in before} | self.expected
        found = {row[0]: row[2] for row in after}
        return [(key, moment, found.get(key)) for key, moment in wanted.items() if found.get(key) != moment]


@contextmanager
def editing(connect: Connect, old: DateTime, later: DateTime) -> Iterator[Editor]:
    """Edit rows until the block ends."""
    editor = Editor(connect, old, later)
    editor.start()
    try:
        yield editor
    finally:
        editor.ended.set()
        editor.join()


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


def make_days(connection: Connection, first: DateTime, last: DateTime, *, default: bool = True) -> list[str]:
    """Make the table with daily partitions only; return their names."""
    make_table(connection, back=-1, ahead=-2, default=default)
    days = list(between(Interval.DAY, first, last))
    for each in days:
        add_partition(connection, MIXED.partition(each.suffix), each.lower, each.upper)
    return [MIXED.partition(each.suffix).name for each in days]


MERGED = {"premake": 1, "retention": None}
ASKED = MaintenanceParams(table="mixed", merge="0 days")


def fill(connection: Connection, moments: Sequence[DateTime], rows: int) -> None:
    for moment in moments:
        statement = sql.SQL(
            'INSERT INTO {} ("order", "Recorded At", "Value")'
            " SELECT 1 + n %% 5, %s + n * interval '1 second', n FROM generate_series(1, %s) n"
        )
        connection.execute(statement.format(MIXED.identifier), (moment, rows))


@pytest.mark.parametrize("default", [True, False])
def test_the_days_of_a_whole_month_are_merged_while_rows_are_written_moved_and_deleted(
    connection: Connection, connect: Connect, default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, present = this_month().subtract(months=1), this_month()
    days = make_days(connection, old, present.add(months=1).subtract(days=1), default=default)
    assert failures(maintain(opened(connect, **MERGED, interval="day", maintain="daily"), REAL)) == []
    moments = [old, old.add(days=3), present.subtract(seconds=500), present]
    fill(connection, moments, rows=400)
    rows = contents(connection)

    done = maintain(opened(connect, **MERGED), REAL)
    month = MIXED.partition(old.format("[y]YYYY[m]MM"))
    (could,) = [each.actual for each in done.checks if each.name == "merge"]
    assert f"could be merged into {month.name}; only the param `merge` asks for it" in could
    assert done.summary["merged"] == []
    shown = maintain(opened(connect, **MERGED), ASKED.model_copy(update={"dry_run": True}))
    assert (shown.summary["would_merge"], contents(connection)) == ([month.name], rows)

    monkeypatch.setattr(copies, "SLICE_BLOCKS", 1)
    with editing(connect, old, present) as editor, writing(connect, [*moments, now()]) as writers:
        run = opened(connect, **MERGED)
        merged = maintain(run, ASKED)
        editor.goes_on()
    assert_nothing_lost(connection, writers)
    assert (failures(merged), merged.summary["merged"]) == ([], [month.name])
    assert editor.error is None
    assert editor.edits > 20, "nothing changed meanwhile, so nothing was proved"
    reconciled = [each for each in statements(run) if each.startswith("Write the changed rows")]
    assert reconciled, "nothing was reconciled, so nothing was proved"

    assert editor.differences(rows, contents(connection)) == []
    gone = [each for each in days if each.startswith(f"{month.name}d")]
    attached = set(partitions(connection))
    assert (attached & set(days), month.name in attached) == (set(days) - set(gone), True)
    assert leftovers(connection) == []
    assert not [each for each in counts(connection) if each in gone]
    assert (judged(run).facts.gaps, judged(run).problems) == (0, ())
    assert maintain(opened(connect, **MERGED), ASKED).summary["merged"] == []


def test_a_merge_without_its_capture_replaces_nothing(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison can turn red: a row that no trigger has logged stops the merge, and nothing is left of it."""
    make_table(connection)
    opened(connect, **MERGED)
    fill(connection, [lower for _, lower, _ in months(5, 0)], rows=20)
    copied, before = copies.copy_rows, partitions(connection)

    def unseen(inner: Run, partition: TableName) -> None:
        stop_capture(run, partition)
        copied(inner, partition)
        connection.execute(sql.SQL('UPDATE {} SET "Value" = 99 WHERE "order" = 2').format(partition.identifier))

    monkeypatch.setattr(copies, "copy_rows", unseen)
    run = opened(connect, **MERGED, interval="quarter")
    done = maintain(run, ASKED)
    assert [each for each in failures(done) if "with checksum" in each and each.startswith("FAIL merge ")]
    assert (before.items() <= partitions(connection).items(), leftovers(connection)) == (True, [])
    assert sum(row[3] == 99 for row in contents(connection)) == 3 * 4


def test_partitions_with_keys_that_refer_to_them_are_not_merged(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    opened(connect, **MERGED)
    connection.execute(
        'CREATE TABLE "Plant A".note (id bigint, at timestamptz,'
        ' FOREIGN KEY (id, at) REFERENCES "Plant A"."Sensor Readings")'
    )
    before = partitions(connection)
    (refused,) = failures(maintain(opened(connect, **MERGED, interval="quarter"), ASKED))
    assert "cannot be merged: " in refused
    assert "references the rows" in refused
    assert (before.items() <= partitions(connection).items(), leftovers(connection)) == (True, [])
