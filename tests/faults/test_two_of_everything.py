"""Two processes do the same, or the opposite, at once: one works, the other waits or says why it can't.

The first is held at a request that makes something last, until the second has ended or waits for it. Then both go on,
while an application writes all the time.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import psycopg
import pytest

from partition_playbook.database import Session
from partition_playbook.engine import advisory_locks, capture, load, rollback
from partition_playbook.errors import LockNotGranted, PlaybookError
from partition_playbook.ledger import Phase
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.names import TableName
from partition_playbook.run import Run
from tests.fixtures import footprint
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.proxy import Proxy
from tests.fixtures.scenario_writer import PATIENCE_SECONDS, Writer, read_rows, unlike, wait_until
from tests.fixtures.stages import KEY, RUN_ID, SPEC, STATEMENTS, STEPS, WRITTEN_DAYS, Stages, go_back, take_over
from tests.fixtures.tables import open_run

Step = Callable[[Run], object]
MOMENTS = 2  # of each pair
SEED = 7
HEAD_START_SECONDS = 1.0
numbers = count()
WAITS = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
   AND application_name LIKE 'partition\\_playbook%'
"""
ADVISORY = """
SELECT pid, count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
 WHERE locktype = 'advisory' AND datname = current_database() GROUP BY pid
"""


def load_side_by_side(run: Run) -> None:
    for each in run.ledger.loads():
        load.load_partition(run, each["partition_name"], workers=4)


TWINS: dict[str, Step] = STEPS | {"load_partition": load_side_by_side}


def keep_in_order(run: Run) -> None:
    """Do what ``partition_maintenance`` does, with partitions to create."""
    spec = SPEC.model_copy(update={"premake": 3})
    ledger = replace(run.ledger, run_id=f"upkeep {next(numbers)}")
    ledger.open(spec.name, "maintenance", spec.model_dump(mode="json"), {})
    done = maintain(replace(run, spec=spec, ledger=ledger), MaintenanceParams())
    if failed := [str(each) for each in done.checks if each.blocks]:
        raise PlaybookError("; ".join(failed), where=spec.table)


OPPOSITES: dict[str, tuple[str, Step, Step]] = {
    "loads, and a rollback": ("load_partition", load_side_by_side, go_back),
    "attach, and a rollback": ("attach_partitions", STEPS["attach_partitions"], go_back),
    "cutover, and a rollback": ("cut_over", STEPS["cut_over"], go_back),
    "a rollback, and cutover": ("cut_over", go_back, STEPS["cut_over"]),
    "finalize, and a rollback": ("finalize", finalize_anyway, go_back),
    "a rollback, and finalize": ("finalize", go_back, finalize_anyway),
    "maintenance, and cutover": ("cut_over", keep_in_order, STEPS["cut_over"]),
    "cutover, and maintenance": ("cut_over", STEPS["cut_over"], keep_in_order),
    "maintenance, and a rollback": ("finalize", keep_in_order, go_back),
    "a rollback, and maintenance": ("finalize", go_back, keep_in_order),
}


@contextmanager
def writing(dsn: str, seed: int) -> Iterator[tuple[psycopg.Connection, Writer]]:
    """Let an application write all the time."""
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        Writer(dsn, KEY, STATEMENTS, seed=seed, days=WRITTEN_DAYS) as writer,
    ):
        writer.record = dict(read_rows(connection, SPEC.name, KEY))
        writer.start()
        writer.let_write(5)
        yield connection, writer


MAINTAINING: dict[str, tuple[Step, Step]] = {
    "maintenance, and maintenance": (keep_in_order, keep_in_order),
    "maintenance, and finalize": (keep_in_order, finalize_anyway),
    "finalize, and maintenance": (finalize_anyway, keep_in_order),
}


def look(connection: psycopg.Connection, writer: Writer, objects: set[tuple[object, ...]]) -> None:
    """Compare rows and objects with what they must be."""
    writer.let_write(5)
    with writer.paused():
        assert writer.errors == []
        assert unlike(writer.record, read_rows(connection, SPEC.name, KEY)) == {}
        found = footprint.objects(connection)
        assert found == objects, f"left: {found - objects}, missing: {objects - found}"


def duel(dsn: str, first: Step, second: Step, at: int) -> list[PlaybookError | None]:
    """Hold the first step at a request until the second has ended or waits; return how each ended."""
    reached, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        go_on.wait(PATIENCE_SECONDS)

    with (
        psycopg.connect(dsn, autocommit=True) as watcher,
        Proxy(dsn) as proxy,
        ThreadPoolExecutor(2) as pool,
    ):
        proxy.arm(at, hold)
        ahead = pool.submit(attempt, first, proxy.conninfo)
        ahead.add_done_callback(lambda _: reached.set())
        try:
            assert reached.wait(PATIENCE_SECONDS)
            behind = pool.submit(attempt, second, dsn)
            wait_for_head_start(behind, watcher)
        finally:
            go_on.set()
        return [ahead.result(), behind.result()]


def attempt(step: Step, dsn: str) -> PlaybookError | None:
    try:
        step(take_over(dsn))
    except PlaybookError as error:
        return error
    return None


def wait_for_head_start(behind: Future[PlaybookError | None], watcher: psycopg.Connection) -> None:
    """Wait until the second has ended or waits for a lock; for a moment only, because it may wait without one."""
    until = time.monotonic() + HEAD_START_SECONDS
    while not (behind.done() or watcher.execute(WAITS).fetchall()) and time.monotonic() < until:
        time.sleep(0.01)


def moments(requests: int, name: str) -> list[int]:
    return random.Random(f"{SEED} {name}").sample(range(1, requests + 1), min(MOMENTS, requests))


def requests_of(stages: Stages, before: str, step: Step) -> int:
    """Count the lasting requests of a step that is done alone."""
    with stages.copy(before) as dsn, Proxy(dsn) as proxy:
        step(take_over(proxy.conninfo))
        return proxy.requests


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_two_processes_do_at_once_ends_as_that_of_one(stages: Stages, name: str) -> None:
    for at in moments(stages.requests[name], name):
        with stages.copy(name) as dsn, writing(dsn, at) as (connection, writer):
            endings = duel(dsn, TWINS[name], TWINS[name], at)
            assert None in endings, endings
            STEPS[name](take_over(dsn))
            look(connection, writer, stages.objects[name])


@pytest.mark.parametrize("name", OPPOSITES)
def test_what_two_processes_undo_and_do_ends_as_one_of_both(stages: Stages, name: str) -> None:
    before, first, second = OPPOSITES[name]
    for at in moments(requests_of(stages, before, first), name):
        with stages.copy(before) as dsn, writing(dsn, at) as (connection, writer):
            endings = duel(dsn, first, second, at)
            assert None in endings, endings
            run = take_over(dsn)
            if Phase(run.ledger.run()["phase"]) is Phase.FINALIZED:
                look(connection, writer, stages.objects["finalize"])
            else:
                go_back(run)
                look(connection, writer, stages.objects[""])


@pytest.mark.parametrize("name", MAINTAINING)
def test_two_who_maintain_or_finalize_the_table_at_once(stages: Stages, name: str) -> None:
    first, second = MAINTAINING[name]
    with stages.copy("finalize") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        for step in (keep_in_order, finalize_anyway):
            step(take_over(dsn))
        objects = footprint.objects(connection)
    for at in moments(requests_of(stages, "finalize", first), name):
        with stages.copy("finalize") as dsn, writing(dsn, at) as (connection, writer):
            endings = duel(dsn, first, second, at)
            assert None in endings, endings
            assert all(str(each) for each in endings if each), endings
            for step in (keep_in_order, finalize_anyway):
                step(take_over(dsn))
            look(connection, writer, objects)


def test_a_partition_that_is_captured_while_the_capture_ends_takes_inserts(stages: Stages) -> None:
    """A function that is dropped before the triggers that call it are committed would refuse every insert, until 17."""
    partition = TableName("public", "sensor_readings_y2099m01")
    with (
        stages.copy("finalize") as dsn,
        psycopg.connect(dsn, autocommit=True) as watcher,
        ThreadPoolExecutor(1) as pool,
    ):
        run = take_over(dsn)
        like = TableName("public", run.ledger.loads()[0]["partition_name"])
        with run.database.session() as session, session.connection.transaction():
            watcher.execute(f"CREATE TABLE {partition} (LIKE {like} INCLUDING ALL)")  # type: ignore[call-overload]
            capture.capture_new_partition(run, session, like, partition)
            ending = pool.submit(finalize_anyway, take_over(dsn))
            wait_until(lambda: ending.done() or bool(watcher.execute(WAITS).fetchall()), "finalize waits")
            assert not ending.done()
        ending.result(PATIENCE_SECONDS)
        with run.database.session() as session:
            assert not capture.is_on(run, session, partition)
        watcher.execute(f"INSERT INTO {partition} TABLE {run.table} LIMIT 1")  # type: ignore[call-overload]


def test_two_opens_of_a_run_leave_one(connect: Callable[[], psycopg.Connection], dsn: str) -> None:
    with Proxy(dsn) as proxy:
        open_run(partial(psycopg.connect, proxy.conninfo), SPEC, "first")
        requests = proxy.requests
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA partition_playbook CASCADE")

        def begin(run: Run) -> None:
            run.ledger.open(SPEC.name, "rehearse", SPEC.model_dump(mode="json"), {})

        assert duel(dsn, begin, begin, requests) == [None, None]
        assert connection.execute("SELECT run_id FROM partition_playbook.runs").fetchall() == [(RUN_ID,)]


def test_the_session_that_loads_holds_the_locks_that_keep_others_away(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock in another session could be lost while the load goes on, and a second one begin."""
    found: list[object] = []
    create_indexes = load.create_indexes

    def looking(session: Session, *args: Any) -> None:
        create_indexes(session, *args)
        with psycopg.connect(dsn) as watcher:
            found.append(watcher.execute(ADVISORY).fetchall() == [(session.connection.info.backend_pid, 2)])

    monkeypatch.setattr(load, "create_indexes", looking)
    with stages.copy("load_partition") as dsn:
        STEPS["load_partition"](take_over(dsn))
    assert found
    assert all(found)


def test_whoever_has_the_turn_is_named(
    run: Run, readings: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(10)
    monkeypatch.setattr(advisory_locks, "PATIENCE_MS", 50)
    with advisory_locks.exclusive_session(run, advisory_locks.Exclusive.STEP) as session:
        pid = session.connection.info.backend_pid
        with pytest.raises(
            LockNotGranted, match=rf"pid {pid} user \S+ application 'partition_playbook' from .+ advisory lock for"
        ):
            rollback.abandon(run)
