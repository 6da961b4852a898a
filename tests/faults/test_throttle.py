"""Loads and reconciles yield to the application: nothing is begun while a person or a limit says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from partition_playbook.engine import load, reconcile, throttle
from partition_playbook.errors import LoadMustWait, StillBusy
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import Throttle
from tests.fixtures.scenario_subscriber import subscribed
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.stages import SPEC, STEPS, Stages, take_over

IDLE = """
SELECT count(*)
  FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory'
 WHERE datname = current_database() AND starts_with(application_name, 'partition_playbook')
   AND (xact_start IS NOT NULL OR l.pid IS NOT NULL)
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "POLL_SECONDS", 0.01)


@pytest.fixture
def dsn(stages: Stages) -> Iterator[str]:
    """Return a database whose shadow is built and empty."""
    with stages.copy("load_partition") as dsn:
        yield dsn


def limited(run: Run, **limits: object) -> Run:
    return replace(run, spec=SPEC.model_copy(update={"throttle": Throttle.model_validate(limits)}))


def states(run: Run) -> list[str]:
    return [each["state"] for each in run.ledger.loads()]


def messages(run: Run) -> list[str]:
    return [each["message"] for each in run.ledger.events() if each["message"].startswith(("waiting", "resumed"))]


def held_for(times: int, look: Callable[[], object]) -> Callable[[], bool]:
    """Return a switch that is on so many times, and looks each time."""
    asked = iter(range(times))

    def paused() -> bool:
        look()
        return next(asked, None) is not None

    return paused


PAUSED = "paused by the Airflow Variable partition_playbook_pause"


def test_a_pause_begins_no_load_and_keeps_what_is_loaded(dsn: str) -> None:
    run = take_over(dsn)
    names = [each["partition_name"] for each in run.ledger.loads()]
    load.load_partition(run, names[0], workers=1)
    done = run.ledger.loads()[0]
    with pytest.raises(LoadMustWait, match=PAUSED):
        STEPS["load_partition"](replace(run, paused=lambda: True))
    assert states(run) == ["loaded", *["pending"] * (len(names) - 1)]
    STEPS["load_partition"](run)
    assert run.ledger.loads()[0] == done
    assert set(states(run)) == {"loaded"}


def test_a_wait_before_a_reconcile_is_told_once_and_ends(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    with stages.copy("verify_online") as dsn:
        run = take_over(dsn)
        throttle.wait_until_calm(replace(run, paused=held_for(3, lambda: None)))
        waiting, resumed = messages(run)
        assert waiting == f"waiting: {PAUSED}"
        assert resumed.startswith("resumed after")
        monkeypatch.setattr(throttle, "PATIENCE_SECONDS", 0)
        with pytest.raises(StillBusy, match=PAUSED):
            throttle.wait_until_calm(replace(run, paused=lambda: True))
        assert run.ledger.events()[-1]["message"] == "stopped waiting"


def test_a_reconcile_waits_without_a_lock_or_a_transaction(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "BATCH", 50)
    with stages.copy("verify_online") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        held: list[object] = []

        def look() -> None:
            held.extend(connection.execute(IDLE).fetchone() or ())

        connection.execute("UPDATE sensor_readings SET battery = battery")
        run = replace(take_over(dsn), paused=held_for(2, look))
        assert reconcile.catch_up(run, passes=1) > 50
        assert held == []
        assert reconcile.catch_up(run, yielding=True) == 0
        assert len(held) >= 3
        assert set(held) == {0}


def test_sessions_at_work_that_are_not_ours_are_waited_for(dsn: str) -> None:
    run = limited(take_over(dsn), max_active_connections=None, max_replica_lag=None, max_running=0)
    with psycopg.connect(dsn, autocommit=True) as holder, psycopg.connect(dsn, autocommit=True) as busy:
        holder.execute("SELECT pg_advisory_lock(1)")
        wait_until(lambda: not throttle.reasons(run), "a calm server")
        busy.pgconn.send_query(b"SELECT pg_advisory_lock(1)")
        wait_until(lambda: set(throttle.reasons(run)) == {"running"}, "a session at work")
        holder.execute("SELECT pg_advisory_unlock(1)")
        while busy.pgconn.get_result():
            pass
        wait_until(lambda: not throttle.reasons(run), "a calm server")


@pytest.mark.parametrize(("most", "busy"), [(0.001, True), (1, False), (1.5, True), (None, False)])
def test_connections_are_a_share_or_a_number(dsn: str, most: float | None, busy: bool) -> None:
    run = limited(take_over(dsn), max_active_connections=most)
    with psycopg.connect(dsn), psycopg.connect(dsn):
        assert set(throttle.reasons(run)) == ({"connections"} if busy else set())


def test_a_replica_that_hangs_lags(dsn: str) -> None:
    table = "CREATE TABLE pulse (id int PRIMARY KEY)"
    run = limited(take_over(dsn), max_replica_lag=1)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"{table}; CREATE PUBLICATION scenario FOR TABLE pulse")  # type: ignore[call-overload]
        with subscribed(dsn, table, TableName("public", "pulse"), ("id",)) as subscriber:
            with psycopg.connect(subscriber.copy.info.dsn) as holder:
                holder.execute("LOCK TABLE pulse")
                connection.execute("INSERT INTO pulse VALUES (1)")
                wait_until(lambda: set(throttle.reasons(run)) == {"replica_lag"}, "the lag")
            assert subscriber.unlike({("1",): "(1)"}) == {}
