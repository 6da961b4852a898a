"""The users at work while the engine swaps the table forward, back, and forward again."""

from __future__ import annotations

import time

import psycopg
import pytest

from partition_playbook.engine import cutover
from partition_playbook.engine.sides import Direction
from partition_playbook.run import Run
from staging.backend import verdict
from staging.backend.history import History
from staging.backend.processes import Server
from staging.backend.traffic import Traffic
from staging.backend.verdict import Span, Times
from tests.fixtures.migration import migrate

KIND = "SELECT relkind FROM pg_class WHERE oid = 'sensor_readings'::regclass"
BY_ID = """
INSERT INTO sensor_readings (id, unit_id, device_id, recorded_at)
SELECT id, unit_id, device_id, recorded_at FROM sensor_readings LIMIT 1 ON CONFLICT (id) DO NOTHING
"""
EACH = 150  # requests: every user asks everything, on both connections


def live(connection: psycopg.Connection) -> str:
    return str(connection.execute(KIND).fetchone()[0])  # type: ignore[index]


def test_prepared_statements_and_conflict_targets_follow_each_swap(
    server: Server, fixed: History, run: Run, dsn: str, connection: psycopg.Connection
) -> None:
    kinds, moments = [live(connection)], [0.0]
    with Traffic(server.url, fixed, rate=40) as traffic:
        traffic.wait_for(EACH, since=0)
        for swap in (
            lambda: migrate(run),
            lambda: cutover.swap(run, Direction.BACK),
            lambda: cutover.swap(run, Direction.FORWARD),
        ):
            swap()
            kinds.append(live(connection))
            moments.append(time.time())
            traffic.wait_for(EACH, since=moments[-1])

    assert kinds == ["r", "p", "r", "p"]
    found = verdict.judge(traffic.requests, Span(moments[1], moments[-1]))
    assert (found.errors, found.unequal) == ({}, [])
    assert verdict.count_lost(dsn, traffic.acknowledged) == 0
    assert min(found.before.requests, found.during.requests, found.after.requests) >= EACH
    for since in moments:
        asked = {each.procedure for each in traffic.requests if each.at >= since}
        assert len(asked) == 6
    assert '"level":"error"' not in server.log.read_text()
    assert Times.of(traffic.requests).requests == found.requests


def test_the_old_key_as_a_target_is_not_served_after_a_swap(
    server: Server, run: Run, connection: psycopg.Connection
) -> None:
    connection.execute(BY_ID)
    migrate(run)
    with pytest.raises(psycopg.errors.InvalidColumnReference):
        connection.execute(BY_ID)
    connection.execute(BY_ID.replace("(id) DO", "(id, recorded_at) DO"))
