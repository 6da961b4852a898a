from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pendulum
import psycopg
import pytest

from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.spec import TableSpec
from tests.fixtures.tables import open_run

# Of Airflow's own plugin loader.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
Connect = Callable[[], psycopg.Connection[Any]]
Maintain = Callable[[str], Maintained]


@pytest.fixture
def maintained(
    airflow_home: Path, connection: psycopg.Connection[Any], connect: Connect
) -> Callable[[str], Maintained]:
    """Return a function that maintains a table with an old partition, which it archives to a URL."""
    from airflow.sdk import ObjectStoragePath

    connection.execute("CREATE TABLE t (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    connection.execute("CREATE TABLE old PARTITION OF t FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-02-01 00:00Z')")
    connection.execute("CREATE TABLE rest PARTITION OF t DEFAULT")
    connection.execute("INSERT INTO t VALUES ('2020-01-17'), (%s)", (pendulum.now("UTC"),))

    def run(url: str) -> Maintained:
        retention = {"keep": "1 month", "grace": "0 days", "action": "archive", "archive_to": url}
        spec = TableSpec.model_validate({"table": "t", "partition_by": "at", "retention": retention})
        return maintain(open_run(connect, spec, url, "maintenance"), MaintenanceParams(), ObjectStoragePath)

    return run


def test_archives_go_to_airflows_object_store(maintained: Maintain, tmp_path: Path) -> None:
    done = maintained(f"file://{tmp_path}/archive")
    assert (done.summary["archived"], done.summary["dropped"], done.summary["failed"]) == (["old"], ["old"], [])
    assert json.loads(next((tmp_path / "archive" / "public.t").glob("old.*.json")).read_text())["rows"] == 1


@pytest.mark.parametrize("url", ["nope://bucket/path", "s3://aws_default@bucket/path"])
def test_an_object_store_that_airflow_does_not_know_keeps_nothing_else_from_its_turn(
    maintained: Maintain, url: str
) -> None:
    done = maintained(url)
    assert (done.summary["archived"], done.summary["dropped"]) == ([], [])
    assert "archive old" in done.summary["failed"]
    assert len(done.summary["created"]) == 5
