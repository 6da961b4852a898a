"""The console script: the version and the table specs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from partition_playbook import __version__
from partition_playbook.cli import app
from partition_playbook.spec import TABLES_VARIABLE

GOOD = "table: readings\npartition_by: recorded_at\n"


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    return tmp_path


def test_the_version_is_printed() -> None:
    done = CliRunner().invoke(app, ["version"])
    assert (done.exit_code, done.stdout) == (0, f"{__version__}\n")


def test_each_spec_is_listed(tables: Path) -> None:
    (tables / "readings.yaml").write_text(GOOD)
    done = CliRunner().invoke(app, ["specs"])
    assert done.exit_code == 0
    assert done.stdout == "readings: readings, one partition per month of recorded_at\n"


def test_an_invalid_spec_is_named_beside_the_valid_ones(tables: Path) -> None:
    (tables / "bad.yaml").write_text(GOOD + "intervall: month\n")
    (tables / "readings.yaml").write_text(GOOD)
    done = CliRunner().invoke(app, ["specs"])
    assert done.exit_code == 1
    assert done.stdout.startswith("readings: ")
    assert done.stderr.startswith("bad: invalid. ")
    assert "key 'intervall' is unknown" in done.stderr


def test_a_folder_without_specs_is_an_error(tables: Path) -> None:
    done = CliRunner().invoke(app, ["specs"])
    assert done.exit_code == 1
    assert done.stderr == f"{tables}: no table spec. Add one as <name>.yaml.\n"
