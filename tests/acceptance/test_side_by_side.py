"""A run waits for a load slot, and tells a maintenance that fails; `airflow dags test` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from partition_playbook.spec import load_spec
from tests.fixtures import sabotage
from tests.fixtures.dag_runs import CONNECTION, ROOT, DagRuns, airflow_settings, uri

CONF = {"table": "calm", "mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True}
TAKE = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
NAME = load_spec("sensor_readings").name
LOOKS = "SELECT count(*), pg_sleep(0.01) FROM pg_stat_activity WHERE application_name = 'partition_playbook triggerer'"
STANDS = "SELECT phase, verdict FROM partition_playbook.runs WHERE mode = 'rehearse'"
FULL = "RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'"


def test_a_load_waits_for_a_slot_without_a_triggerer(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns
) -> None:
    with psycopg.connect(dsn, autocommit=True) as holder, ThreadPoolExecutor() as pool:
        for slot in range(2):
            holder.execute(TAKE, [f"partition_playbook.load {NAME} {slot}"])
        running = pool.submit(dag_runs.run, "partition_migration", dsn, CONF)
        while connection.execute(LOOKS).fetchall()[0][0] == 0 and not running.done():
            pass
        states = connection.execute("SELECT DISTINCT state FROM partition_playbook.loads WHERE expected_rows > 0")
        waited = states.fetchall()
        holder.execute("SELECT pg_advisory_unlock_all()")
        done = running.result()
    assert waited == [("pending",)]
    assert "waiting: 2 load slots, all taken, by pid" in done.log
    assert (done.state, done.tasks["migration.load_partition"]) == ("success", "success")
    assert connection.execute(STANDS).fetchall() == [("live", "go")]


@pytest.fixture
def listed(dsn: str, home: Path, tables: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Return a function that lists the runs of the table in a shell, as Airflow's own commands are used."""
    environment = os.environ | airflow_settings(home, tables / "calm") | {CONNECTION: uri(dsn), "PYTHONPATH": "plugins"}
    command = [sys.executable, "-c", "from partition_playbook.cli import app; app()", "runs", "calm"]
    return lambda: subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_failed_maintenance_tells_its_own_error_and_the_task_to_clear(
    dsn: str,
    connection: psycopg.Connection,
    dag_runs: DagRuns,
    listed: Callable[[], subprocess.CompletedProcess[str]],
) -> None:
    sabotage.at(connection, "runs", "NEW.mode = 'maintenance'", FULL)
    failed = dag_runs.run("partition_migration", dsn, CONF)
    assert {each for each, state in failed.tasks.items() if state == "failed"} == {"lifecycle.trigger_maintenance"}
    assert "/dags/partition_maintenance/runs/" in failed.log
    assert "the maintenance failed: the server: the disk is full" in failed.log
    assert "then clear lifecycle.trigger_maintenance: it triggers the maintenance again" in failed.log
    assert "preflight.open_run of this DAG run" not in failed.log

    told = listed()
    assert told.returncode == 1, told.stderr
    assert "  rehearse  live  failed in lifecycle.trigger_maintenance since 20" in told.stdout
    assert "lifecycle.trigger_maintenance failed: http" in told.stdout
    assert "the maintenance failed: the server: the disk is full" in told.stdout
    assert "clear the task: the run resumes there. Or trigger partition_rollback" in told.stdout

    connection.execute("DROP TRIGGER on_runs ON partition_playbook.runs")
    resumed = dag_runs.resume("partition_migration", dsn, failed.run_id)
    assert resumed.state == "success", resumed.tasks
    assert connection.execute(STANDS).fetchall() == [("live", "go")]
    told = listed()
    assert told.returncode == 0, told.stderr
    assert "  rehearse  live  go since 20" in told.stdout
