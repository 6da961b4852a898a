"""The wheel has every file of the project that runs, and works where there is no checkout."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partition_playbook import __version__
from tests.packaging.conftest import PROJECT, Installed

SPEC = "table: readings\npartition_by: recorded_at\n"
TOLD = "readings: public.readings, one partition per month of recorded_at\n"
# Airflow writes warnings to the standard output, so a script's answer is its last line.
MODULES = """
import importlib, json, pkgutil, partition_playbook
found = pkgutil.walk_packages(partition_playbook.__path__, "partition_playbook.")
print(json.dumps([importlib.import_module(each.name).__file__ for each in found]))
"""
READ = """
import json
from jinja2 import Environment, FileSystemLoader
from partition_playbook.console.app import STATIC
from partition_playbook.sections.decision.page import TEMPLATES
from partition_playbook.sections.preflight.monitoring import FOLDER
from partition_playbook.sql import SQL_ROOT, statement

names = [str(path.relative_to(SQL_ROOT).with_suffix("")) for path in SQL_ROOT.rglob("*.sql")]
pages = Environment(loader=FileSystemLoader(TEMPLATES)).list_templates(extensions=["j2"])
folders = [str(each) for each in (SQL_ROOT, STATIC, TEMPLATES, FOLDER)]
print(json.dumps([folders, pages, [statement(name).name for name in names]]))
"""


def shipped() -> Iterator[tuple[str, Path]]:
    """Yield each file of the checkout that the package reads, with its name in the wheel."""
    for folder, place in (("plugins", "."), ("include", "partition_playbook"), ("monitoring", "partition_playbook")):
        for path in sorted((PROJECT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != ".airflowignore":
                start = PROJECT / folder if place == "." else PROJECT
                yield str(Path(place) / path.relative_to(start)), path


def answer(stdout: str) -> Any:
    return json.loads(stdout.splitlines()[-1])


def test_every_file_that_runs_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert content == {name: path.read_bytes() for name, path in shipped()}


def test_the_wheel_has_the_version_and_the_licence(wheel: Path) -> None:
    assert wheel.name == f"partition_playbook-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_the_console_script_validates_a_spec_without_a_checkout(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "readings.yaml").write_text(SPEC)
    done = installed.run("partition-playbook", "validate", PARTITION_PLAYBOOK_TABLES=str(tmp_path))
    assert (done.stdout, done.stderr) == (TOLD, "")


def test_the_specs_of_an_installed_package_are_in_airflows_home(installed: Installed) -> None:
    folder = installed.home / "include" / "tables"
    absent = installed.run("partition-playbook", "validate", code=3)
    assert absent.stderr.startswith(f"{folder}: there is no such folder of table specs. Create it, or set ")

    folder.mkdir(parents=True)
    (folder / "readings.yaml").write_text(SPEC)
    assert installed.run("partition-playbook", "validate").stdout == TOLD


def test_the_console_script_lists_its_commands(installed: Installed) -> None:
    assert "validate" in installed.run("partition-playbook", "--help").stdout
    assert installed.run("partition-playbook", "version").stdout == f"{__version__}\n"


def test_every_module_is_imported_from_the_wheel(installed: Installed) -> None:
    found = answer(installed.run("python", "-c", MODULES).stdout)
    assert {Path(each).is_relative_to(installed.folder) for each in found} == {True}
    modules = [name for name, path in shipped() if path.suffix == ".py" and name.startswith("partition_playbook/")]
    assert len(found) == len(modules) - 1  # all but the package itself


def test_every_statement_page_and_template_is_read_from_the_wheel(installed: Installed) -> None:
    folders, pages, statements = answer(installed.run("python", "-c", READ).stdout)
    assert [Path(each).is_relative_to(installed.folder) and Path(each).is_dir() for each in folders] == [True] * 4
    assert pages == ["report.html.j2", "report.md.j2"]
    assert len(statements) == len(list((PROJECT / "include" / "sql").rglob("*.sql")))


@pytest.mark.parametrize("home", ["empty", "with a copy of plugins"])
def test_airflow_finds_the_console_once(installed: Installed, tmp_path: Path, home: str) -> None:
    folder = tmp_path if home == "empty" else PROJECT / "plugins"
    done = installed.run("python", "-m", "airflow", "plugins", "-o", "json", AIRFLOW__CORE__PLUGINS_FOLDER=str(folder))
    plugins = answer(done.stdout)
    sources = [each["source"] for each in plugins if each["name"] == "partition_playbook"]
    assert len(sources) == 1
    assert sources[0].startswith("partition-playbook==" if home == "empty" else "$PLUGINS_FOLDER/")


def test_airflow_lists_the_package_among_the_providers(installed: Installed) -> None:
    done = installed.run("python", "-m", "airflow", "providers", "get", "partition-playbook", "-o", "json")
    told = answer(done.stdout)
    assert [(each["Provider"], each["Version"]) for each in told] == [("partition-playbook", __version__)]
    assert "partition-playbook" not in done.stderr
