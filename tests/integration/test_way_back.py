"""Between the cutover and finalize a rollback stays short, and somebody is told in time if it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from partition_playbook import figures
from partition_playbook.database import Database
from partition_playbook.engine import rollback, verify, way_back
from partition_playbook.engine.way_back import SECONDS, State, WayBack
from partition_playbook.errors import CaptureLost
from partition_playbook.run import Run

Connection = psycopg.Connection[Any]
WRITE = """
INSERT INTO sensor_readings (unit_id, device_id, temperature, recorded_at)
SELECT unit_id, device_id, 99.99, now() FROM sensor_readings LIMIT %s
"""
AGE_LOOKS = (
    "UPDATE partition_playbook.events SET happened_at = happened_at - interval '16 minutes' WHERE kind = 'backlog'"
)
HOLDS = "SELECT 1 FROM pg_locks WHERE pid = %s AND relation = to_regclass(%s) AND granted"
TRIGGERS = """
SELECT tgname FROM pg_trigger WHERE tgrelid = 'sensor_readings'::regclass AND NOT tgisinternal AND tgenabled = 'A'
"""
MESSAGES = "SELECT message FROM partition_playbook.events WHERE message LIKE 'cancelled%' ORDER BY event_id"


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def run(run: Run, connect: Callable[[], Connection]) -> Run:
    """Return the run as the DAG partition_rollback has it, by the name of its sessions."""
    named = Database(connect, application="partition_playbook roll_back_standing_run", sink=run.ledger.sink)
    return replace(run, database=named)


@pytest.fixture
def paused(run: Run) -> Run:
    """Return the run as it is while a person has paused it."""
    return replace(run, paused=lambda: True)


def look(run: Run) -> WayBack:
    found = way_back.keep_open(run)
    assert found
    return found


def test_a_pass_reconciles_and_says_how_long_a_rollback_takes(run: Run, connection: Connection) -> None:
    connection.execute(WRITE, (3_000,))
    found = look(run)
    assert (found.waiting, found.state) == (0, State.IN_STEP)
    assert found.reconciled
    assert found.reconciled > 100
    recorded = way_back.recorded(run)
    assert recorded
    assert recorded["state"] == "in step"
    assert recorded["sentences"][0].startswith("A rollback now takes about 5 s: 0 changes wait")
    assert "It stays this short until partition_finalize, while partition_standby runs" in recorded["sentences"]


def test_what_waits_makes_a_rollback_longer_and_the_rate_says_until_when(paused: Run, connection: Connection) -> None:
    look(paused)
    connection.execute(WRITE, (10_000,))
    found = look(paused)
    assert found.waiting == 10_000
    assert found.seconds == pytest.approx(5 + 10_000 / way_back.CHANGES_PER_SECOND)
    slow, full = found.slow_from(), found.full_at()
    assert slow
    assert full
    assert found.at < slow < full
    assert found.written
    assert slow - found.at == pytest.approx(
        timedelta(seconds=(SECONDS - found.seconds) * way_back.CHANGES_PER_SECOND / found.written),
        abs=timedelta(seconds=1),
    )


def test_moments_are_told_in_utc_whatever_the_zone_of_the_spec(
    paused: Run, connection: Connection, connect: Callable[[], Connection]
) -> None:
    abroad = replace(paused, database=Database(connect, timezone="Asia/Kathmandu"))
    look(abroad)
    connection.execute(WRITE, (10_000,))
    found = look(abroad)
    full = found.full_at()
    assert full
    assert full.utcoffset() == timedelta(hours=5, minutes=45)
    assert f"the change log is full at {full.astimezone(UTC):%Y-%m-%d %H:%M} UTC" in str(found)


def test_a_rollback_that_compares_all_rows_says_so(run: Run, connection: Connection) -> None:
    verify.compare(run)
    assert "only changed rows are compared" in str(look(run))
    for (name,) in connection.execute(TRIGGERS).fetchall():
        connection.execute(sql.SQL("ALTER TABLE sensor_readings DISABLE TRIGGER {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("ALTER TABLE sensor_readings ENABLE ALWAYS TRIGGER {}").format(sql.Identifier(name)))
    found = look(run)
    assert found.comparison
    assert found.seconds == pytest.approx(5 + found.comparison)
    assert f"all rows are compared first ({figures.seconds(found.comparison)})" in str(found)


def test_changes_that_wait_for_a_quarter_of_an_hour_need_a_person(paused: Run, connection: Connection) -> None:
    connection.execute(WRITE, (2_000,))
    assert look(paused).state is State.IN_STEP
    connection.execute(AGE_LOOKS)
    found = look(paused)
    assert found.state is State.BEHIND
    assert found.problem.startswith("2,000 changes wait, the oldest since ")
    assert look(replace(paused, paused=lambda: False)).state is State.IN_STEP


def test_old_changes_that_are_few_need_nobody(paused: Run, connection: Connection) -> None:
    connection.execute(WRITE, (10,))
    look(paused)
    connection.execute(AGE_LOOKS)
    assert look(paused).state is State.IN_STEP


def test_a_change_log_half_full_needs_a_person(paused: Run, connection: Connection) -> None:
    connection.execute(WRITE, (10_000,))
    size = look(paused).log_bytes
    tight = replace(paused, spec=paused.spec.model_copy(update={"change_log_limit": 2 * size - 1}))
    found = look(tight)
    assert found.state is State.NEARLY_FULL
    assert " of at most " in found.problem


def test_a_lost_way_back_is_recorded_with_the_time_since_which_it_is_lost(run: Run, connection: Connection) -> None:
    look(run)
    connection.execute("DROP TABLE partition_playbook.public_sensor_readings_changes CASCADE")
    found = []
    for _ in range(2):
        with pytest.raises(CaptureLost):
            way_back.keep_open(run)
        found.append(way_back.recorded(run))
    assert found[0] == found[1]
    assert found[0]["state"] == "lost"
    assert "change log" in found[0]["sentences"][0]


# ---- A rollback waits for nothing of ours.


@pytest.fixture
def reading(dsn: str, connection: Connection) -> Iterator[Callable[..., Future[int]]]:
    """Return a function that starts a long read of both sides under an application name."""
    opened: list[Connection] = []
    with ThreadPoolExecutor(4) as pool:

        def start(application: str, seconds: float, standby: str = "sensor_readings_old") -> Future[int]:
            other = psycopg.connect(dsn, autocommit=True, application_name=application)
            opened.append(other)
            both = f"(SELECT FROM sensor_readings LIMIT 1) AS live, (SELECT FROM {standby} LIMIT 1) AS other"
            text = f"SELECT count(pg_sleep(%s)) FROM {both}"
            read = pool.submit(lambda: other.execute(text, (seconds,)).fetchone()[0])
            while not connection.execute(HOLDS, (other.info.backend_pid, standby)).fetchone():
                assert not read.done()
            return read

        yield start
        for each in opened:
            each.cancel_safe()
    for each in opened:
        each.close()


def test_a_rollback_cancels_the_playbooks_own_reads(
    run: Run, connection: Connection, reading: Callable[..., Future[int]]
) -> None:
    comparison = reading("partition_playbook validate", 300)
    dump = reading("partition_playbook", 300)
    done = rollback.roll_back(run)
    assert done.swapped
    for each in (comparison, dump):
        with pytest.raises(psycopg.errors.QueryCanceled):
            each.result(timeout=10)
    told = {message for (message,) in connection.execute(MESSAGES)}
    assert any("partition_playbook validate" in message for message in told)


def test_a_rollback_leaves_the_reads_of_others_and_the_console_alone(
    run: Run, reading: Callable[..., Future[int]]
) -> None:
    others = [reading("report", 1), reading("partition_playbook console", 1)]
    assert rollback.roll_back(run).swapped
    assert [each.result(timeout=10) for each in others] == [1, 1]


def test_the_drop_of_a_shadow_cancels_the_playbooks_own_reads(
    run: Run, connection: Connection, reading: Callable[..., Future[int]]
) -> None:
    rollback.roll_back(run)
    comparison = reading("partition_playbook verify_online", 300, run.table.shadow.name)
    rollback.abandon(run)
    with pytest.raises(psycopg.errors.QueryCanceled):
        comparison.result(timeout=10)
    assert connection.execute("SELECT to_regclass('sensor_readings_new')").fetchone() == (None,)
