"""The command line as a process of its own, in the environment of an Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import psycopg
import pytest

from tests.fixtures.dag_runs import CONNECTION, ROOT, airflow_settings, uri

SCRIPT = [sys.executable, "-c", "from partition_playbook.cli import app; app()"]
SPEC = (ROOT / "include" / "tables" / "sensor_readings.yaml").read_text()
LEDGER = "SELECT to_regnamespace('partition_playbook')"
Asked = subprocess.CompletedProcess[str]
Ask = Callable[..., Asked]


@pytest.fixture(scope="module")
def template(server_dsn: str) -> str:
    """Start from an empty database."""
    return "template1"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of an Airflow whose metadata database is there."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "readings.yaml").write_text(SPEC)
    (folder / "elsewhere.yaml").write_text("table: events\npartition_by: at\nconnection: nowhere\n")
    (folder / "wrong.yaml").write_text("table: events\npartition_by: at\nintervall: day\n")
    found = os.environ | airflow_settings(tmp_path_factory.mktemp("airflow"), folder) | {"PYTHONPATH": "plugins"}
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, env=found, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture
def ask(environment: Mapping[str, str], dsn: str) -> Ask:
    """Return a function that runs a command of the script, with other variables where some are given."""

    def run(*given: str, **variables: str) -> Asked:
        known = {**environment, CONNECTION: uri(dsn), **variables}
        return subprocess.run([*SCRIPT, *given], env=known, capture_output=True, text=True, check=False, cwd=ROOT)

    return run


def test_a_plan_is_json_and_leaves_no_ledger(
    ask: Ask, readings: Callable[..., None], connection: psycopg.Connection
) -> None:
    readings(300)
    done = ask("plan", "readings", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["go"], found["table"]) == (True, "public.sensor_readings")
    assert sum(line.startswith("CREATE TABLE") for line in found["plan"]) > 2
    assert any(line.startswith("-- … the same for ") for line in found["plan"])
    assert connection.execute(LEDGER).fetchall() == [(None,)]


def test_a_failure_of_one_table_hides_no_other(ask: Ask, readings: Callable[..., None]) -> None:
    readings(10)
    done = ask("status", "--json")
    found = {each["spec"]: each for each in json.loads(done.stdout)["tables"]}
    assert done.returncode == 4
    assert (found["wrong"]["failure"]["exit"], found["elsewhere"]["failure"]["exit"]) == (3, 4)
    assert (found["readings"]["health"], found["readings"]["last_run"]) == (None, None)

    missing, wrong = done.stderr.splitlines()
    assert missing.startswith("connection nowhere: Airflow has no connection of this id. Export AIRFLOW_CONN_NOWHERE=")
    assert "line 3: key 'intervall' is unknown (did you mean `interval`?)" in wrong
