"""Loads wait in the triggerer: in order of arrival, on one short connection, and while the run is paused."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from partition_playbook.engine import load, shadow
from partition_playbook.run import Run
from tests.fixtures.dag_runs import CONNECTION, uri

pytestmark = pytest.mark.usefixtures("airflow_home")
PAUSE = "AIRFLOW_VAR_PARTITION_PLAYBOOK_PAUSE"
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'partition_playbook triggerer'"
WORKERS = 2


@pytest.fixture
def built(run: Run, readings: Callable[[int], None], dsn: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run whose loads have not begun, as Airflow's connection leads to it."""
    from partition_playbook.airflow import loads

    readings(200)
    shadow.build(run)
    monkeypatch.setenv(CONNECTION, uri(dsn))
    monkeypatch.setenv(PAUSE, "")
    monkeypatch.setattr(loads, "ASK_SECONDS", 0.01)
    monkeypatch.setattr(loads, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(loads, "_lines", {})
    return run


@contextmanager
def holding(dsn: str, *locks: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold advisory locks as loads at work do."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for each in locks:
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [each])
        yield connection


class Waiting:
    """Triggers in one event loop, and the partitions in the order in which they may start."""

    def __init__(self, run: Run, partitions: list[str], *, restarted: bool = False) -> None:
        from partition_playbook.airflow.loads import LoadSlotTrigger

        self.started: list[str] = []
        self.events: list[Any] = []
        self.triggers = [
            LoadSlotTrigger(run.spec.connection, run.ledger.run_id, {"task_id": "a load"}, name, WORKERS, at, [])
            for at, name in enumerate(partitions)
        ]
        if restarted:  # a triggerer that was restarted begins them in any order
            self.triggers.reverse()

    async def __aenter__(self) -> Waiting:
        self.tasks = [asyncio.create_task(self._wait(each)) for each in self.triggers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self.tasks:
            each.cancel()

    async def _wait(self, trigger: Any) -> None:
        async for event in trigger.run():
            self.started.append(trigger.partition)
            self.events.append(event.payload)

    async def until(self, count: int) -> list[str]:
        while len(self.started) < count:
            await asyncio.sleep(0.01)
        return self.started


def names(run: Run) -> list[str]:
    return [each["partition_name"] for each in run.ledger.loads()]


def test_the_loads_start_in_order_of_arrival_and_no_more_than_there_are_slots(built: Run, dsn: str) -> None:
    waiting = names(built)[:5]
    first, second, third = (load.lock_name(built, name) for name in waiting[:3])
    zero, one = load.slot_names(built, WORKERS)

    async def scene() -> None:
        with holding(dsn, zero, "another load") as left, holding(dsn, one, "one more") as right:
            async with Waiting(built, waiting, restarted=True) as line:
                await asyncio.sleep(0.5)
                assert line.started == []
                left.execute("SELECT pg_advisory_unlock_all()")
                assert await line.until(1) == waiting[:1]
                await asyncio.sleep(0.5)
                assert line.started == waiting[:1], "its slot is kept until it arrives"
                with holding(dsn, first, zero):
                    await asyncio.sleep(0.5)
                    assert line.started == waiting[:1]
                    right.execute("SELECT pg_advisory_unlock_all()")
                    assert await line.until(2) == waiting[:2]
                    with holding(dsn, second, one):
                        await asyncio.sleep(0.5)
                        assert line.started == waiting[:2]
                with holding(dsn, third):
                    assert await line.until(4) == waiting[:4]

    asyncio.run(scene())


def test_ten_that_wait_use_one_connection_and_leave_none_open(
    built: Run, dsn: str, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from partition_playbook.airflow import loads

    monkeypatch.setattr(loads, "ASK_SECONDS", 0.3)

    def opened() -> int:
        return int(connection.execute(OPEN).fetchall()[0][0])

    async def scene() -> list[int]:
        with holding(dsn, *load.slot_names(built, WORKERS)):
            async with Waiting(built, names(built)[:10]) as line:
                seen = []
                for _ in range(100):
                    seen.append(opened())
                    await asyncio.sleep(0.02)
            assert line.started == []
        return seen

    seen = asyncio.run(scene())
    assert 0 in seen
    assert max(seen) < 3, "one that looks, and one that the server has not ended yet"
    while opened():  # the look that was under way
        pass


def test_a_pause_is_told_once_and_ends_the_wait_when_it_ends(built: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = names(built)[:3]
    monkeypatch.setenv(PAUSE, "all")

    async def scene() -> Waiting:
        async with Waiting(built, waiting) as line:
            await asyncio.sleep(1)
            assert line.started == []
            monkeypatch.setenv(PAUSE, "")
            await line.until(2)
        return line

    line = asyncio.run(scene())
    assert line.started == waiting[:2]
    assert [each["told"] for each in line.events] == [["paused"], []]
    notes = [each for each in built.ledger.events() if each["message"].startswith("waiting")]
    assert [(each["message"], each["detail"]["partition"]) for each in notes] == [
        ("waiting: paused by the Airflow Variable partition_playbook_pause", waiting[0])
    ]


def test_an_error_that_no_retry_helps_is_left_to_the_task(built: Run, connection: psycopg.Connection[Any]) -> None:
    connection.execute("DROP SCHEMA partition_playbook CASCADE")

    async def scene() -> list[str]:
        async with Waiting(built, ["a partition"]) as line:
            return list(await line.until(1))

    assert asyncio.run(scene()) == ["a partition"]


def test_a_trigger_survives_a_restart_of_the_triggerer(built: Run, tmp_path: Path) -> None:
    from airflow.sdk._shared.module_loading import import_string

    trigger = Waiting(built, ["a partition"]).triggers[0]
    path, arguments = trigger.serialize()
    again = import_string(path)(**arguments)
    assert again.serialize() == trigger.serialize()


@pytest.mark.parametrize(
    ("given", "partitions"),
    [(["a", "b"], ["a", "b"]), ("a", ["a"])],
    ids=["a group", "one name, of a run that an earlier version began"],
)
def test_a_load_takes_a_group_of_partitions(given: list[str] | str, partitions: list[str]) -> None:
    from partition_playbook.airflow.loads import LoadPartitions

    load_task = LoadPartitions(task_id="load_partition", partitions=given)
    assert load_task.partitions == partitions
    assert load_task.partition == "a"


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the socket that receives what Airflow sends to StatsD."""
    from airflow.sdk._shared.observability.metrics import stats as backend
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "True")
        monkeypatch.setenv("AIRFLOW__METRICS__STATSD_PORT", str(receiver.getsockname()[1]))
        monkeypatch.setattr(backend, "_backend", None)
        monkeypatch.setattr(backend, "_factory", None)
        stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
        yield receiver
        backend._get_backend().statsd.close()  # type: ignore[union-attr]


def test_the_progress_of_a_migration_is_told_to_airflows_own_metrics(built: Run, metrics: socket.socket) -> None:
    from partition_playbook.airflow import progress

    waiting = names(built)
    load.load_partition(built, waiting[0], workers=1)
    progress.tell(built)
    told = dict(metrics.recv(1000).decode().split(":") for _ in range(3))
    rows = sum(each["rows"] or 0 for each in built.ledger.loads())
    assert rows > 0
    assert told == {
        "airflow.partition_playbook.sensor_readings.loads": f"{len(waiting)}|g",
        "airflow.partition_playbook.sensor_readings.loads_done": "1|g",
        "airflow.partition_playbook.sensor_readings.rows_loaded": f"{rows}|g",
    }
