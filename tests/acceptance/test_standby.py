"""The DAG partition_standby keeps the way back of every table open, and does nothing where none stands."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg
import pytest

from partition_playbook.engine import capture, way_back
from partition_playbook.run import Run
from partition_playbook.spec import load_spec
from tests.fixtures.dag_runs import DagRuns
from tests.fixtures.tables import open_run

WRITE = "UPDATE sensor_readings SET battery = 7 WHERE id % 20 = 0"


@pytest.fixture(scope="module")
def template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def live(dsn: str) -> Run:
    return open_run(partial(psycopg.connect, dsn), load_spec("sensor_readings"), "test-run")


def test_a_pass_empties_the_change_log_and_says_what_a_rollback_takes(
    dag_runs: DagRuns, dsn: str, live: Run, connection: psycopg.Connection[Any]
) -> None:
    connection.execute(WRITE)
    done = dag_runs.run("partition_standby", dsn, {})
    assert done.state == "success", done.log
    assert done.tasks["standby.keep_open"].split() == ["success"] * len(done.tasks["standby.keep_open"].split())
    assert capture.backlog(live) == 0
    assert any("A rollback now takes about" in message for message in done.messages)


def test_a_lost_way_back_fails_the_pass(
    dag_runs: DagRuns, dsn: str, live: Run, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("DROP TABLE partition_playbook.public_sensor_readings_changes CASCADE")
    done = dag_runs.run("partition_standby", dsn, {})
    assert done.state == "failed"
    assert "CaptureLost" in done.log
    recorded = way_back.recorded(live)
    assert recorded
    assert recorded["state"] == "lost"


def test_it_does_nothing_where_no_retired_table_stands(
    dag_runs: DagRuns, dsn: str, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("DROP SCHEMA partition_playbook CASCADE")
    done = dag_runs.run("partition_standby", dsn, {})
    assert done.state == "success", done.log
    assert done.tasks["standby.keep_open"] == "skipped"
