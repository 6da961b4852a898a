"""Two simulated years, month by month, under live writers, with crashes between any two statements of the engine.

The server's clock can't be moved, so that the simulated one runs through the two years that have passed: retention
applies to what lies before ``as_of``. Rows that are in the simulated future are never in the real one. One of the two
tables has UUIDs of version 7 in its partition column.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from statistics import median, quantiles
from typing import Any
from uuid import UUID

import pendulum
import psycopg
import pytest
from pendulum import DateTime
from psycopg import sql

from partition_playbook.codecs import Codec, Encoding
from partition_playbook.intervals import between
from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.spec import DefaultPartition, TableSpec
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]

NOW = pendulum.now("UTC")
MONTHS = 24
# The last simulated day is the third of a month that has passed: `as_of` must not lie in the future.
START = NOW.subtract(days=3).start_of("month").subtract(months=MONTHS).add(days=2)
KEEP, PREMAKE = 6, 4
MISSED = {4, 9, 10}  # nobody ran the maintenance
OUTLASTED = set(range(14, 20))  # until no partition was left for the rows: only with a default partition
BURST = 12  # a month whose rows wait in the default partition by the hundred, as after an import
WRITERS = 2
ROWS_A_MONTH = 20
MOVED = 30  # of more rows the default partition is split
CRASHES = 3  # a month
QUIET_SECONDS = 1.0
SEED = 20_24

TABLE = """
CREATE TABLE devices (id int PRIMARY KEY);
INSERT INTO devices SELECT generate_series(0, 9);
CREATE TABLE readings (
    id bigint NOT NULL, at {type} NOT NULL, device int NOT NULL REFERENCES devices, value numeric,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX readings_device ON readings (device, at DESC);
"""
DEFAULT = "CREATE TABLE readings_default PARTITION OF readings DEFAULT"


class Crash(BaseException):
    """The worker is gone: nothing in the engine may catch this."""


class Doomed(Connection):
    """A connection of a worker that dies after so many statements, with whatever it had open."""

    left = 0
    executed = 0

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Run a statement, and be gone after the last one."""
        if Doomed.left <= 0:
            self.close()
            raise Crash
        found = super().execute(*args, **kwargs)
        Doomed.left -= 1
        Doomed.executed += 1
        if not Doomed.left:
            self.close()
            raise Crash
        return found


@dataclass
class Writers:
    """Threads that insert rows around the simulated clock and keep a record of what was committed."""

    connect: Connect
    codec: Codec
    clock: DateTime = START
    strays: bool = False
    committed: list[tuple[int, DateTime]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)
    ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write until the block ends."""
        threads = [threading.Thread(target=self._write, args=(seed,)) for seed in range(WRITERS)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self.ended.set()
            for each in threads:
                each.join()
            self.ended.clear()

    def wait_for(self, rows: int) -> None:
        """Wait until so many more rows are committed."""
        enough = len(self.committed) + rows
        while len(self.committed) < enough and not self.errors:
            time.sleep(0.002)

    def _write(self, seed: int) -> None:
        chance = random.Random(seed)
        with self.connect() as connection:
            connection.autocommit = True
            while not self.ended.wait(0.004):
                self.insert(connection, self._moment(chance))

    def _moment(self, chance: random.Random) -> DateTime:
        """Mostly of this month, some rows late and some from the future, a few of those beyond every partition."""
        months = chance.choices([0, -1, -2, 1, PREMAKE + 2], [80, 8, 4, 4, 4 if self.strays else 0])[0]
        moment = self.clock.start_of("month").add(months=months, seconds=chance.randrange(28 * 86_400))
        return min(moment, NOW)

    def _stored(self, moment: DateTime, key: int) -> DateTime | UUID:
        """Return the value of the partition column: the moment, or a UUID of version 7 with it."""
        if self.codec.encoding is None:
            return moment
        first = self.codec.first_key(moment)
        assert isinstance(first, UUID)
        return UUID(int=first.int | 0x7 << 76 | 0x2 << 62 | key)

    def insert(self, connection: Connection, moment: DateTime) -> None:
        """Insert a row and note it once it is committed."""
        key = next(self.ids)
        started = time.perf_counter()
        try:
            values = (key, self._stored(moment, key), key % 10, key)
            connection.execute("INSERT INTO readings VALUES (%s, %s, %s, %s)", values)
        except psycopg.Error as error:
            self.errors.append(f"{moment}: {error.sqlstate} {error}")
            return
        self.seconds.append(time.perf_counter() - started)
        self.committed.append((key, moment))


def simulate(
    connection: Connection, connect: Connect, dsn: str, spec: TableSpec, months: int
) -> tuple[Writers, Maintained]:
    """Run the maintenance month by month, crash it, run it again; return the writers and the last run's findings."""
    chance = random.Random(SEED)
    writers = Writers(connect, spec.codec, strays=spec.default_partition is DefaultPartition.KEEP)
    clean, crashes, split = 60, 0, []
    done = None
    for back in (2, 0):
        _month(dsn, spec, START.subtract(months=back), f"first-{back}", 10**9)
    with writers.writing():
        time.sleep(QUIET_SECONDS)
    writers.quiet, writers.seconds = writers.seconds, []
    with writers.writing():
        for month in range(1, months + 1):
            writers.clock = START.add(months=month)
            writers.wait_for(ROWS_A_MONTH)
            if month in MISSED or (writers.strays and month in OUTLASTED):
                continue
            if month == BURST and writers.strays:
                for _ in range(300):
                    writers.insert(connection, START.add(months=month + PREMAKE + 1, seconds=chance.randrange(10**6)))
            for attempt in range(CRASHES):
                with suppress(Crash):
                    _month(dsn, spec, writers.clock, f"{month}-{attempt}", chance.randrange(1, clean))
                crashes += not Doomed.left
            done = _month(dsn, spec, writers.clock, str(month), 10**9)
            clean = Doomed.executed
            assert done.summary["failed"] == [], done.checks
            split += done.summary["split"]
            assert_nothing_lost(connection, writers, writers.clock)
    assert done
    assert crashes > months
    assert bool(split) is writers.strays
    return writers, done


def _month(dsn: str, spec: TableSpec, clock: DateTime, run_id: str, statements: int) -> Maintained:
    """Run the maintenance as of a moment, in a worker that dies after so many statements."""
    Doomed.left, Doomed.executed = statements, 0
    run = open_run(lambda: Doomed.connect(dsn), spec, run_id, "maintenance")
    return maintain(run, MaintenanceParams.model_validate({"as_of": clock, "max_moved_rows": MOVED}))


def oldest_kept(clock: DateTime) -> DateTime:
    return clock.subtract(months=KEEP).start_of("month")


def assert_nothing_lost(connection: Connection, writers: Writers, clock: DateTime) -> None:
    """Compare the record of what was committed with what is there, from the oldest month that is kept on."""
    kept = oldest_kept(clock)
    expected = {key for key, moment in list(writers.committed) if moment >= kept}
    first = kept if writers.codec.encoding is None else writers.codec.first_key(kept)
    rows = connection.execute("SELECT id FROM readings WHERE at >= %s", (first,)).fetchall()
    found = [key for (key,) in rows]
    assert len(found) == len(set(found)), "a row is there twice"
    assert expected - set(found) == set(), "rows are lost"
    assert writers.errors == []


def tables(connection: Connection, query: str) -> set[str]:
    return {name for (name,) in connection.execute(query)}  # type: ignore[call-overload]


ATTACHED = (
    "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'readings'::regclass"
)
STANDING = "SELECT relname FROM pg_class WHERE relname LIKE 'readings\\_%' AND relkind = 'r'"

LOGS = (
    "SELECT relname FROM pg_class WHERE relname LIKE '%changes%' AND relnamespace = 'partition_playbook'::regnamespace"
)


def spec_of(default: str, grace: str, encoding: Encoding | None) -> TableSpec:
    values = {"table": "readings", "partition_by": "at", "premake": PREMAKE, "default_partition": default}
    values |= {"encoding": encoding}
    retention = {"keep": f"{KEEP} months", "grace": grace, "max_share": 1}
    return TableSpec.model_validate(values | {"retention": retention})


@pytest.mark.parametrize(
    ("default", "grace", "encoding"), [("keep", "0 days", None), ("none", "7 days", Encoding.UUIDV7)]
)
def test_two_years_of_months_with_writers_and_crashes(
    connection: Connection,
    connect: Connect,
    dsn: str,
    default: str,
    grace: str,
    encoding: Encoding | None,
    record_property: Callable[[str, object], None],
) -> None:
    connection.execute(sql.SQL(TABLE).format(type=sql.SQL("uuid" if encoding else "timestamptz")))
    if default == "keep":
        connection.execute(DEFAULT)
    spec = spec_of(default, grace, encoding)
    writers, last = simulate(connection, connect, dsn, spec, MONTHS)
    clock = START.add(months=MONTHS)
    assert_nothing_lost(connection, writers, clock)

    kept = oldest_kept(clock)
    wanted = partition_names(spec, kept, clock.start_of("month").add(months=PREMAKE))
    wanted |= {"readings_default"} if default == "keep" else set()
    assert tables(connection, ATTACHED) == wanted
    # A worker that died between a concurrent detach and its note leaves a table that only a person may drop.
    stranded = next(each for each in last.checks if each.name == "no_stranded_partition").actual
    standing = {name for name in tables(connection, STANDING) - wanted if name not in stranded}
    waiting = partition_names(spec, START.subtract(months=2), kept.subtract(months=1)) if grace != "0 days" else set()
    assert standing == {name for name in waiting if name not in stranded}
    assert tables(connection, LOGS) == set()
    assert len(writers.committed) > 500
    for name, seconds in (("without_maintenance", writers.quiet), ("with_maintenance", writers.seconds)):
        record_property(f"writes_{name}", len(seconds))
        record_property(f"latency_ms_{name}", milliseconds(seconds))
    assert median(writers.seconds) < 5 * median(writers.quiet)


def milliseconds(seconds: list[float]) -> dict[str, float]:
    percents = quantiles(seconds, n=100)
    return {
        name: round(each * 1000, 1)
        for name, each in {"p50": percents[49], "p99": percents[98], "max": max(seconds)}.items()
    }


def partition_names(spec: TableSpec, first: DateTime, last: DateTime) -> set[str]:
    return {spec.name.partition(each.suffix).name for each in between(spec.interval, first, last)}
