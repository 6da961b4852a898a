"""Somebody holds the table: the step waits in bounded tries, names him, gives up, and works once he is gone.

Meanwhile an application writes all the time, and waits for no try longer than its lock timeout.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

import pendulum
import psycopg
import pytest
from psycopg import sql

from partition_playbook import catalog, lock_retry
from partition_playbook.engine import attach, cutover, reconcile
from partition_playbook.errors import LockNotGranted
from partition_playbook.intervals import bounds_at
from partition_playbook.lock_retry import LockRetry
from partition_playbook.maintenance import create, locks, retire
from partition_playbook.maintenance.actions import Create, Detach
from partition_playbook.names import TableName
from partition_playbook.run import Run
from staging import cluster
from tests.faults.test_two_of_everything import writing
from tests.fixtures.scenario_writer import read_rows, unlike, wait_until
from tests.fixtures.stages import KEY, SPEC, STEPS, Stages, take_over

Blocker = Callable[[str, TableName], AbstractContextManager[int]]
Step = Callable[[Run], object]
TABLE = SPEC.name
LOCK_SECONDS = 0.3
FEW = LockRetry(first_ms=300, longest_ms=300, tries=2, pause_seconds=0.1)
# A transaction meets one try, and all else that is slow on a busy machine.
SLOWEST = 5
ROW = """
INSERT INTO {0} (id, unit_id, device_id, recorded_at, received_at, source)
SELECT -1, unit_id, device_id, recorded_at, received_at, 'idle' FROM {0} LIMIT 1
"""
# So many that a vacuum of them takes longer than two tries, and a dump does not fit into a pipe.
MANY = """
INSERT INTO sensor_readings (unit_id, device_id, recorded_at, received_at, source)
SELECT unit_id, device_id, now() - n * interval '25 minutes', now(), repeat('many', 20)
  FROM generate_series(1, 2000) n, (SELECT unit_id, device_id FROM sensor_readings LIMIT 1) AS one
"""
FAR = """
INSERT INTO sensor_readings (unit_id, device_id, recorded_at, received_at, source)
SELECT unit_id, device_id, '2199-01-01', now(), repeat('far', 20) FROM sensor_readings LIMIT 1000
"""


@contextmanager
def transaction(dsn: str, *statements: sql.Composable) -> Iterator[int]:
    """Leave a transaction open."""
    with psycopg.connect(dsn) as connection:
        for each in statements:
            connection.execute(each)
        yield connection.info.backend_pid
        connection.rollback()


def idle_write(dsn: str, table: TableName) -> AbstractContextManager[int]:
    return transaction(dsn, sql.SQL(ROW).format(table.identifier))


def long_report(dsn: str, table: TableName) -> AbstractContextManager[int]:
    level = sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return transaction(dsn, level, sql.SQL("SELECT count(*) FROM {}").format(table.identifier))


@contextmanager
def vacuum(dsn: str, table: TableName) -> Iterator[int]:
    """Freeze a table as slowly as the server can; unlike autovacuum it gives way to nobody."""
    with psycopg.connect(dsn, autocommit=True) as connection, psycopg.connect(dsn, autocommit=True) as watcher:
        connection.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1; SET vacuum_cost_page_hit = 10000")

        def work() -> None:
            with suppress(psycopg.errors.QueryCanceled):
                connection.execute(sql.SQL("VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) {}").format(table.identifier))

        worker = threading.Thread(target=work)
        worker.start()
        pid = connection.info.backend_pid
        wait_until(lambda: holds(watcher, pid, table), "the vacuum holds its lock")
        try:
            yield pid
            assert worker.is_alive(), "the vacuum ended before the step gave up"
        finally:
            connection.cancel_safe()
            worker.join()


@contextmanager
def dump(dsn: str, table: TableName) -> Iterator[int]:
    """Dump the whole database into a pipe that nobody reads."""
    arguments = [cluster.bin_dir() / "pg_dump", "--dbname", dsn]
    with (
        psycopg.connect(dsn, autocommit=True) as watcher,
        subprocess.Popen(arguments, stdout=subprocess.PIPE) as process,
    ):
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_dump' AND datname = current_database()"
        try:
            wait_until(lambda: any(holds(watcher, pid, table) for (pid,) in watcher.execute(query)), "pg_dump reads")
            (pid,) = watcher.execute(query).fetchone()  # type: ignore[misc]
            yield pid
            assert process.poll() is None, "the dump ended before the step gave up"
        finally:
            process.kill()
            process.stdout.close()  # type: ignore[union-attr]


def holds(watcher: psycopg.Connection, pid: int, table: TableName) -> bool:
    query = "SELECT FROM pg_locks WHERE pid = %s AND relation = to_regclass(%s) AND granted"
    return bool(watcher.execute(query, (pid, str(table))).fetchall())


BLOCKERS: dict[str, Blocker] = {
    "an idle transaction": idle_write,
    "a long report": long_report,
    "a vacuum": vacuum,
    "a dump": dump,
}


def partition(back: int) -> Create:
    """Return what creates the partition of a month."""
    bounds = bounds_at(SPEC.interval, pendulum.now(SPEC.timezone).start_of("month").subtract(months=back))
    return Create(TABLE.partition(bounds.suffix), bounds, "a test wants it", coming=True)


PREVIOUS = partition(1).partition


def detach_previous(run: Run) -> None:
    with run.database.session() as session:
        (found,) = (each for each in catalog.partitions(session, TABLE) if each.table == PREVIOUS)
    assert retire.detach(run, Detach(found, False, "a test wants it"))


@dataclass(frozen=True)
class Held:
    """A step, the tables that are held meanwhile, and who of those who hold them does not matter to it."""

    before: str
    step: Step
    used: TableName
    vacuumed: TableName
    harmless: tuple[str, ...] = ()


HELD = {
    "build_shadow": Held("build_shadow", STEPS["build_shadow"], TABLE, TABLE, ("a long report", "a dump")),
    "attach": Held("attach_partitions", attach.attach_partitions, PREVIOUS, PREVIOUS),
    "cut_over": Held("cut_over", STEPS["cut_over"], TABLE, TABLE),
    "roll_back": Held("roll_back", STEPS["roll_back"], TABLE, TABLE.retired),
    "create": Held("finalize", lambda run: create.create(run, partition(-3)), TABLE, TABLE.default),
    "detach": Held("finalize", detach_previous, TABLE, PREVIOUS),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every step give up after two tries."""
    monkeypatch.setattr(lock_retry, "LockRetry", lambda: FEW)
    monkeypatch.setattr(attach, "PATIENCE", FEW)
    monkeypatch.setattr(cutover, "PATIENCE", "300ms")
    monkeypatch.setattr(locks, "PATIENCE_MS", 300)


def fill(connection: psycopg.Connection, run: Run, before: str) -> None:
    connection.execute(MANY)
    if before == "roll_back":
        reconcile.catch_up(run)
    elif before == "finalize":
        connection.execute(FAR)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", HELD)
def test_a_step_gives_up_names_who_holds_the_table_and_works_once_he_is_gone(stages: Stages, name: str) -> None:
    held = HELD[name]
    with stages.copy(held.before) as dsn:
        run = take_over(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            fill(connection, run, held.before)
        with writing(dsn, seed=1) as (connection, writer):
            for who in (each for each in BLOCKERS if each not in held.harmless):
                with BLOCKERS[who](dsn, held.vacuumed if who == "a vacuum" else held.used) as pid:
                    with pytest.raises(LockNotGranted) as raised:
                        held.step(run)
                    writer.let_write(5)
                told = str(raised.value)
                assert raised.value.tries == FEW.tries
                assert re.search(rf"pid {pid} user \S+ application '.*?' from .*? for [\d:.]+: \S", told), (who, told)
                assert "then clear this task to resume" in told
            assert writer.slowest < SLOWEST * LOCK_SECONDS
            with ExitStack() as open_still:
                for who in held.harmless:
                    open_still.enter_context(BLOCKERS[who](dsn, held.used))
                if name == "detach":  # rows go with their partition, and the writer would miss them
                    open_still.enter_context(writer.paused())
                    held.step(run)
                    rows = [*read_rows(connection, TABLE, KEY), *read_rows(connection, PREVIOUS, KEY)]
                else:
                    held.step(run)
                    writer.let_write(5)
                    open_still.enter_context(writer.paused())
                    rows = read_rows(connection, TABLE, KEY)
                assert writer.errors == []
                assert unlike(writer.record, rows) == {}
