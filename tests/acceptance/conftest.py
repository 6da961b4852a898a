"""One Airflow for all modules that need none running, and small tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

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
    """Return a folder with specs of the worked table, each in a folder of its own: two of one table are refused.

    ``sensor_readings`` is the worked one with a query that takes as long before as after, whatever the machine does: it
    misses each gain that is asked for. ``calm`` asks no query to become faster: with so few rows on a busy machine
    none can be relied on to. ``hurried`` has a probe that partitions answer late. ``guarded`` is for jo to approve.
    ``watched`` looks at the log of an application. ``drilled`` asks a Prometheus that is not there.
    """
    folder = tmp_path_factory.mktemp("tables")
    spec = yaml.safe_load((ROOT / "include" / "tables" / "sensor_readings.yaml").read_text())
    spec["queries"] = [
        {
            "name": "last_7_days",
            "sql": "SELECT pg_sleep(0.01)::text FROM {table} WHERE {partition_by} >= now() - interval '7 days' LIMIT 1",
            "since": "now() - interval '7 days'",
        }
    ]
    _write(folder, "sensor_readings", spec)
    _write(folder, "guarded", spec | {"approvers": ["jo"]})
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
    _write(folder, "calm", spec)
    (folder / "application.log").touch()
    watch = {"every": 0.3, "logs": [{"path": str(folder / "application.log")}]}
    _write(folder, "watched", spec | {"watch": watch})
    drilled = spec | {"monitoring": {"prometheus": "nowhere", "drill_within": 0.5}}
    _write(folder, "drilled", drilled)
    slow = "pg_sleep(CASE WHEN tableoid::regclass::text ~ '_y[0-9]' THEN 1 ELSE 0 END)::text"
    spec["application"]["probes"][0] |= {"max_seconds": 0.2, "sql": f"SELECT {slow} FROM {{table}} LIMIT 1"}
    _write(folder, "hurried", spec)
    return folder


def _write(folder: Path, name: str, spec: Mapping[str, Any]) -> None:
    (folder / name).mkdir()
    (folder / name / f"{name}.yaml").write_text(yaml.safe_dump(dict(spec)))


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
