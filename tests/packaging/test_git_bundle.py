"""A Git bundle of the whole repository loads the five DAGs, with the package installed as a wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import PROJECT, Installed

DAGS = ["partition_finalize", "partition_maintenance", "partition_migration", "partition_rollback", "partition_standby"]
# Reads what a DAG processor reads of a bundle: the newest commit, or the one of a run.
BUNDLE = """
import json, sys
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.git.bundles.git import GitDagBundle

version = sys.argv[1] or None
bundle = GitDagBundle(name="playbook", tracking_ref="main", git_conn_id="playbook_git", version=version)
bundle.initialize()
bag = BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=bundle.name)
print(json.dumps({
    "version": bundle.get_current_version().version,
    "dags": {name: dag.description for name, dag in sorted(bag.dags.items())},
    "errors": bag.import_errors,
}))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with the files of the working tree."""
    folder = tmp_path / "repository"
    listed = git(PROJECT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)

    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder)
    return folder


def test_a_bundle_of_the_repository_loads_the_dags_and_nothing_else(
    installed: Installed, repository: Path, tmp_path: Path
) -> None:
    found = load(installed, repository, tmp_path)
    assert found["errors"] == {}
    assert list(found["dags"]) == DAGS
    assert found["version"] == git(repository, "rev-parse", "HEAD").strip()


def test_a_run_keeps_the_version_of_the_dags_that_it_began_with(
    installed: Installed, repository: Path, tmp_path: Path
) -> None:
    began = load(installed, repository, tmp_path)
    (repository / "dags" / "partition_standby.py").unlink()
    commit(repository)

    newest, cleared = load(installed, repository, tmp_path), load(installed, repository, tmp_path, began["version"])
    assert list(newest["dags"]) == [name for name in DAGS if name != "partition_standby"]
    assert (list(cleared["dags"]), cleared["version"]) == (DAGS, began["version"])
    assert newest["errors"] == cleared["errors"] == {}


def load(installed: Installed, repository: Path, folder: Path, version: str = "") -> Any:
    """Return the DAGs of a bundle as Airflow reads them."""
    connection = {"conn_type": "git", "host": str(repository)}
    done = installed.run(
        "python",
        "-c",
        BUNDLE,
        version,
        AIRFLOW_CONN_PLAYBOOK_GIT=json.dumps(connection),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(folder / "plugins"),
        AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH=str(folder / "bundles"),
    )
    return json.loads(done.stdout.splitlines()[-1])


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    author = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "commit.gpgsign=false")
    git(folder, *author, "commit", "--quiet", "--message", "Change the DAGs")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
