"""One Airflow for all modules that need none running, and small tables."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.fixtures.dag_runs import ROOT, DagRuns
from tests.fixtures.tables import fill_readings

ROWS = 2_000
DAYS = 100


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of specs of the worked table.

    ``sensor_readings`` is the worked one. ``calm`` asks no query to become faster: with so few rows on a busy machine
    none can be relied on to. ``hurried`` has a probe that nothing can answer in time. ``guarded`` is for jo to approve.
    """
    folder = tmp_path_factory.mktemp("tables")
    worked = ROOT / "include" / "tables" / "sensor_readings.yaml"
    shutil.copy(worked, folder)
    spec = yaml.safe_load(worked.read_text())
    (folder / "guarded.yaml").write_text(yaml.safe_dump(spec | {"approvers": ["jo"]}))
    spec["queries"] = [
        {
            "name": "one_interval_count",
            "sql": "SELECT count(*) FROM {table} WHERE {partition_by} >= {interval_start} "
            "AND {partition_by} < {interval_end}",
            "since": "{interval_start}",
            "until": "{interval_end}",
            "criterion": False,
        }
    ]
    (folder / "calm.yaml").write_text(yaml.safe_dump(spec))
    spec["application"]["probes"][0]["max_seconds"] = 1e-6
    (folder / "hurried.yaml").write_text(yaml.safe_dump(spec))
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where Airflow keeps its metadata, its logs and the artifacts."""
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="session")
def dag_runs(home: Path, tables: Path) -> Iterator[DagRuns]:
    """Return the process that runs DAGs."""
    with DagRuns(home, tables) as runs:
        yield runs


@pytest.fixture(scope="session")
def template(server_dsn: str) -> str:
    """Return a template database with the worked table: few rows, at random over few months."""
    name = f"playbook_acceptance_{os.getpid()}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(make_conninfo(server_dsn, dbname=name), autocommit=True) as connection:
        fill_readings(connection, ROWS, days=DAYS)
    return name
