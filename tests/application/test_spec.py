"""The playbook asks the application through the table spec that the demo writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import yaml

from partition_playbook.checks import Outcome
from partition_playbook.run import Run
from partition_playbook.sections.application.commands import command_checks
from partition_playbook.sections.application.http_probes import http_probe_checks
from partition_playbook.sections.application.procedures import procedure_checks, record_before
from partition_playbook.spec import TABLES_VARIABLE, TableSpec, load_spec
from staging.backend import table_spec
from staging.backend.history import History
from staging.backend.processes import Server, Worker
from tests.fixtures.migration import migrate


@pytest.fixture
def asking(server: Server, fixed: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TableSpec:
    worker = Worker("redis://127.0.0.1:1", tmp_path / "worker.log", server.node)
    for name, value in table_spec.settings(tmp_path / "tables").items():
        monkeypatch.setenv(name, value)
    table_spec.write(tmp_path / "tables", server, worker, fixed)
    return load_spec(table_spec.NAME)


def test_before_the_application_runs_the_spec_is_the_worked_one(tmp_path: Path) -> None:
    assert table_spec.settings(tmp_path) == {TABLES_VARIABLE: str(tmp_path)}
    found = yaml.safe_load((tmp_path / "sensor_readings.yaml").read_text())
    assert "base_url" not in found["application"]


def test_the_answers_of_the_application_are_equal_after_the_cutover(
    asking: TableSpec, run: Run, connection: psycopg.Connection
) -> None:
    run = replace(run, spec=asking)
    record_before(run)
    migrate(run)
    found = [*procedure_checks(run), *http_probe_checks(asking.application, "")]
    assert {each.name: each.actual for each in found if each.outcome is not Outcome.PASSED} == {}
    assert [each.actual for each in found if each.name.startswith("procedure_")] == [
        "20 answers with the same content"
    ] * 4
    assert len(found) == 4 * 2 + 2 * 2

    connection.execute("UPDATE sensor_readings SET temperature = -20 WHERE id = -1")
    changed = [each.name for each in procedure_checks(run) if each.blocks]
    assert changed == ["procedure_readings.byUnit"]


def test_the_applications_own_tests_pass_and_can_fail(asking: TableSpec, connection: psycopg.Connection) -> None:
    (passed,) = command_checks(asking.application)
    assert passed.outcome is Outcome.PASSED, passed.evidence["output"]
    assert "pass 4" in passed.evidence["output"]

    connection.execute("ALTER TABLE sensor_readings RENAME COLUMN temperature TO warmth")
    (failed,) = command_checks(asking.application)
    assert failed.blocks
