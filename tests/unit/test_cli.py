"""The console script without Airflow: the version, the validation of table specs, the exit codes of wrong usage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from partition_playbook import __version__
from partition_playbook.cli import app
from partition_playbook.shell.answer import Exit, worst
from partition_playbook.spec import TABLES_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
GOOD = "table: readings\npartition_by: recorded_at\n"
TOLD = "public.readings, one partition per month of recorded_at\n"
SCRIPT = "from partition_playbook.cli import app; app()"


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    return tmp_path


def test_the_version_is_printed() -> None:
    done = CliRunner().invoke(app, ["version"])
    assert (done.exit_code, done.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize("command", ["validate", "specs"])
def test_each_spec_is_listed(tables: Path, command: str) -> None:
    (tables / "readings.yaml").write_text(GOOD)
    done = CliRunner().invoke(app, [command])
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"readings: {TOLD}", "")


def test_an_invalid_spec_is_one_line_beside_the_valid_ones(tables: Path) -> None:
    (tables / "bad.yaml").write_text(GOOD + "intervall: month\n")
    (tables / "readings.yaml").write_text(GOOD)
    done = CliRunner().invoke(app, ["validate"])
    assert (done.exit_code, done.stdout) == (3, f"readings: {TOLD}")
    told = f"{tables / 'bad.yaml'}: line 3: key 'intervall' is unknown (did you mean `interval`?). Valid keys: table, "
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1


def test_specs_are_named_or_given_as_paths(tables: Path) -> None:
    (tables / "readings.yaml").write_text(GOOD)
    (tables / "bad.yaml").write_text("table: readings\n")
    elsewhere = tables / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "orders.yaml").write_text(GOOD.replace("readings", "orders"))

    done = CliRunner().invoke(app, ["validate", "readings", str(elsewhere / "orders.yaml")])
    assert (done.exit_code, done.stdout.count("\n")) == (0, 2)
    assert CliRunner().invoke(app, ["validate", str(tables / "bad.yaml")]).exit_code == 3
    missing = CliRunner().invoke(app, ["validate", "reading"])
    assert missing.exit_code == 3
    assert "there is no table spec 'reading'; did you mean 'readings'?" in missing.stderr


def test_json_has_the_specs_and_the_failures(tables: Path) -> None:
    (tables / "bad.yaml").write_text("table: t\n")
    (tables / "readings.yaml").write_text(GOOD)
    done = CliRunner().invoke(app, ["validate", "--json"])
    found = json.loads(done.stdout)
    assert [each["table"] for each in found["specs"]] == ["public.readings"]
    (failure,) = found["failures"]
    assert (failure["where"], failure["exit"]) == (str(tables / "bad.yaml"), 3)
    assert failure["problem"] == "key 'partition_by' is missing"


def test_a_folder_without_specs_is_an_error(tables: Path) -> None:
    done = CliRunner().invoke(app, ["validate"])
    assert (done.exit_code, done.stderr) == (3, f"{tables}: no table spec. Add one as <name>.yaml\n")


def test_a_missing_folder_is_named(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TABLES_VARIABLE, str(tables / "nowhere"))
    done = CliRunner().invoke(app, ["validate"])
    assert done.exit_code == 3
    assert done.stderr.startswith(f"{tables / 'nowhere'}: there is no such folder of table specs. Create it, or set")


def test_another_ending_is_told(tables: Path) -> None:
    (tables / "readings.yml").write_text(GOOD)
    wanted = f"Rename it: mv {tables / 'readings.yml'} {tables / 'readings.yaml'}\n"
    for given in ([], ["readings"], [str(tables / "readings.yml")]):
        done = CliRunner().invoke(app, ["validate", *given])
        assert (done.exit_code, done.stderr.endswith(wanted)) == (3, True), done.stderr


def test_two_specs_of_one_table_are_refused_by_name(tables: Path) -> None:
    (tables / "a.yaml").write_text(GOOD)
    (tables / "b.yaml").write_text('table: \'"public"."readings"\'\npartition_by: recorded_at\n')
    (tables / "c.yaml").write_text(GOOD + "connection: another_database\n")
    done = CliRunner().invoke(app, ["validate"])
    assert (done.exit_code, done.stdout) == (3, f"c: {TOLD}")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{tables / 'a.yaml'}: b.yaml describes the same table, public.readings behind")
    assert second.startswith(f"{tables / 'b.yaml'}: a.yaml describes the same table")


@pytest.mark.parametrize(
    "given", [["--nope"], ["nope"], ["validate", "--nope"], ["plan"], ["events", "t", "--most", "0"]]
)
def test_wrong_usage_is_an_error_and_no_finding(given: list[str]) -> None:
    assert CliRunner().invoke(app, given).exit_code == 1


def test_a_failure_counts_more_than_a_finding() -> None:
    assert worst([]) == worst([Exit.IN_ORDER]) == 0
    assert worst([Exit.IN_ORDER, Exit.FINDINGS]) == 2
    assert worst([Exit.ERROR, Exit.FINDINGS, Exit.IN_ORDER]) == 1
    assert worst([Exit.LOCK, Exit.FINDINGS, Exit.SPEC]) == 5


def test_specs_are_validated_without_airflow(tables: Path) -> None:
    (tables / "readings.yaml").write_text(GOOD)
    block = "import sys; sys.modules['airflow'] = None; "
    environment = os.environ | {"PYTHONPATH": str(ROOT / "plugins")}
    command = [sys.executable, "-c", block + SCRIPT, "validate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tables)
    assert (done.returncode, done.stdout) == (0, f"readings: {TOLD}"), done.stderr


def test_the_hook_runs_the_script_on_the_shipped_specs() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *given = hook["entry"].split()
    assert program == "partition-playbook"
    shipped = [str(path) for path in sorted((ROOT / "include" / "tables").glob("*.yaml"))]
    assert shipped
    assert CliRunner().invoke(app, [*given, *shipped]).exit_code == 0
