"""A write that names a partition takes no lock on the table: each step of maintenance waits for it all the same."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from partition_playbook.errors import Diverged
from partition_playbook.lock_retry import LockRetry
from partition_playbook.maintenance import retire, split
from partition_playbook.maintenance.actions import Archive, Detach, Drop
from partition_playbook.maintenance.archive import archive
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams, RetentionMode
from partition_playbook.names import TableName
from partition_playbook.run import Run
from tests.fixtures.moments import this_month
from tests.fixtures.scenario_writer import wait_until
from tests.integration.test_maintenance import MIXED, insert, make_table, mixed_run, months
from tests.integration.test_maintenance_locks import oldest
from tests.integration.test_maintenance_split import make_waiting

Connect = Callable[[], psycopg.Connection[Any]]
Connection = psycopg.Connection[Any]
(OLDEST, MOMENT, _), *_ = months(5, 0)
ARCHIVE = {"keep": "3 months", "grace": "0 days", "max_share": 1, "action": "archive", "archive_to": "memory://archive"}
WAITS = """
    SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE NOT l.granted AND a.application_name LIKE 'partition_playbook%%' AND l.relation = %s::regclass
"""
PARENT_LOCKS = "SELECT FROM pg_locks WHERE pid = %s AND relation = %s::regclass"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LockRetry, "pause", lambda self, attempt: 0.01)


def write(connection: Connection, name: TableName, value: int) -> None:
    """Write a row to a partition by its name."""
    by_name = sql.SQL(
        'INSERT INTO {} ("Id", "order", "Recorded At", "Value") OVERRIDING SYSTEM VALUE VALUES ({}, 1, {}, {})'
    )
    moment = MOMENT if name == OLDEST else this_month().subtract(years=9)
    connection.execute(by_name.format(name.identifier, 10_000 + value, moment, value))


@contextmanager
def open_write(connect: Connect, name: TableName, first: int = 1) -> Iterator[Connection]:
    """Hold a transaction open with a write by a partition's name, and with no lock on the table."""
    with connect() as writer:
        write(writer, name, first)
        writer.commit()
        write(writer, name, first + 1)
        held = writer.execute(PARENT_LOCKS, (writer.info.backend_pid, MIXED.identifier.as_string())).fetchall()
        assert held == []
        yield writer


def waits(connection: Connection, name: TableName) -> Callable[[], bool]:
    return lambda: bool(connection.execute(WAITS, (name.identifier.as_string(),)).fetchall())


def values(connection: Connection, name: TableName) -> list[int]:
    query = sql.SQL('SELECT "Value"::int FROM {} WHERE "Id" > 10000 ORDER BY 1').format(name.identifier)
    return [value for (value,) in connection.execute(query)]


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run work in a thread; the list has its result, or its error, after the block."""
    done: list[Any] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        thread.join()


def test_a_detach_waits_for_a_write_by_name_and_lets_others_pass(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    run = mixed_run(connect)
    action = Detach(oldest(run), False, "too old")
    with open_write(connect, OLDEST) as writer, meanwhile(lambda: retire.detach(run, action)) as done:
        wait_until(waits(connection, OLDEST), "the detach waits for the write by name")
        insert(connection, this_month(), rows=3)
        assert done == []
        writer.commit()
    assert done == [True]
    assert values(connection, OLDEST) == [1, 2]
    detached = "SELECT NOT relispartition FROM pg_class WHERE oid = %s::regclass"
    assert connection.execute(detached, (OLDEST.identifier.as_string(),)).fetchone() == (True,)


def test_one_deadline_bounds_all_locks_of_a_detach(connection: Connection, connect: Connect) -> None:
    """DETACH would wait for the default partition and then for the partition, each as long as the whole try."""
    make_table(connection)
    run = mixed_run(connect)
    action = Detach(oldest(run), False, "too old")
    with open_write(connect, MIXED.default, 3) as writer, open_write(connect, OLDEST):
        timer = threading.Timer(0.75, writer.commit)
        timer.start()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            retire._at_once(run, action, 1_000)
        timer.join()
    # The table was locked for the one second of the try, and not for a second per partition.
    assert run.database.locks.held_ms < 1_500


def test_a_drop_waits_for_a_write_by_name(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    run = mixed_run(connect)
    assert retire.detach(run, Detach(oldest(run), False, "too old"))
    with open_write(connect, OLDEST) as writer, meanwhile(lambda: retire.drop(run, Drop(OLDEST, "due"))) as done:
        wait_until(waits(connection, OLDEST), "the drop waits for the write by name")
        assert done == []
        writer.commit()
    assert done == [True]


def test_a_row_written_by_name_before_the_drop_is_archived(
    connection: Connection, connect: Connect, tmp_path: Path
) -> None:
    make_table(connection)
    run = mixed_run(connect, retention=ARCHIVE)
    assert retire.detach(run, Detach(oldest(run), False, "too old"))

    def store(_: str) -> Any:
        return tmp_path

    with (
        open_write(connect, OLDEST) as writer,
        meanwhile(lambda: archive(run, Archive(OLDEST, "due"), store)) as done,
    ):
        wait_until(waits(connection, OLDEST), "the archive waits for the write by name")
        writer.commit()
    # The rows were read before the write, so the archive does not count.
    assert isinstance(done[0], Diverged)
    assert list(tmp_path.rglob("*.json")) == []
    assert archive(run, Archive(OLDEST, "due"), store)

    with (
        open_write(connect, OLDEST, 3) as writer,
        meanwhile(lambda: retire.drop(run, Drop(OLDEST, "due", True), store)) as done,
    ):
        wait_until(waits(connection, OLDEST), "the drop waits for the write by name")
        writer.commit()
    assert isinstance(done[0], Diverged)
    assert archive(run, Archive(OLDEST, "due"), store)
    assert retire.drop(run, Drop(OLDEST, "due", True), store)
    manifest = max(tmp_path.rglob("*.json"), key=lambda each: each.stat().st_mtime_ns)
    rows = gzip.decompress(manifest.with_name(manifest.name.replace(".json", ".csv.gz")).read_bytes()).decode()
    assert sorted(int(each.split(",")[3]) for each in rows.splitlines()[1:]) == [1, 2, 3, 4]


def test_a_split_keeps_every_row_written_by_the_default_partitions_name(
    connection: Connection, connect: Connect
) -> None:
    make_waiting(connection, rows=300)
    run = mixed_run(connect)
    over = threading.Event()
    errors: list[psycopg.Error] = []
    written: list[int] = []

    def keep_writing() -> None:
        with connect() as other:
            other.autocommit = True
            while not over.is_set():
                try:
                    write(other, MIXED.default, 100 + len(written))
                    written.append(100 + len(written))
                except psycopg.Error as error:
                    errors.append(error)
                    return

    few = MaintenanceParams(max_moved_rows=10, retention=RetentionMode.OFF)
    with meanwhile(keep_writing):
        try:
            with open_write(connect, MIXED.default) as writer, meanwhile(lambda: maintain(run, few)) as done:
                wait_until(waits(connection, MIXED.default), "the split waits for the write by name")
                writer.commit()
        finally:
            over.set()
    assert done[0].summary["failed"] == []
    assert done[0].summary["split"] == [MIXED.default.name]
    assert errors == []
    assert values(connection, MIXED.default) == [1, 2, *written]


def test_a_split_that_ends_waits_for_a_write_by_the_default_partitions_name(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_waiting(connection, rows=50)
    run = mixed_run(connect)
    last = split._take_place
    seen: list[str] = []

    def meet(run: Run, *args: Any) -> None:
        with open_write(connect, MIXED.default) as writer, meanwhile(lambda: last(run, *args)) as done:
            wait_until(waits(connection, MIXED.default), "the end of the split waits for the write by name")
            writer.commit()
        seen.extend(map(str, done))
        assert done == [None]

    monkeypatch.setattr(split, "_take_place", meet)
    few = MaintenanceParams(max_moved_rows=10, retention=RetentionMode.OFF)
    assert maintain(run, few).summary["failed"] == []
    assert seen == ["None"]
    assert values(connection, MIXED.default) == [1, 2]
