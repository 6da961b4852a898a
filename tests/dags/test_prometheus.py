"""A real Prometheus scrapes the console: an alert fires, and every panel of the dashboard is answered."""

from __future__ import annotations

import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import psycopg
import pytest
from psycopg import sql

from partition_playbook.checks import check
from partition_playbook.intervals import Interval
from partition_playbook.run import Run
from staging import dashboard
from tests.fixtures.dag_runs import CONNECTION, uri
from tests.fixtures.prometheus import Prometheus, scraping, wait_until

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
TOKEN = "a secret of Prometheus"
RECORDED = (
    "partition_count future_partition_count total_rows total_size_bytes default_partition_rows partition_healthy "
    "partition_rows partition_size_bytes"
)


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    """Start where the worked table was migrated."""
    return migrated_template


@pytest.fixture
def console(airflow_home: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Serve the console on a port of its own, and return the port."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow and its dependencies deprecate among themselves
        import uvicorn

        from partition_playbook.console import scrape
        from partition_playbook.console.app import app

    monkeypatch.setenv(CONNECTION, uri(dsn, psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]))
    monkeypatch.setenv("PARTITION_PLAYBOOK_METRICS_TOKEN", TOKEN)
    scrape._database.cache_clear()
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    served = threading.Thread(target=server.run, args=([listener],))
    served.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    served.join(20)
    listener.close()
    scrape._database.cache_clear()


@pytest.fixture
def prometheus(console: int, tmp_path: Path) -> Iterator[Prometheus]:
    rules = [MONITORING / "alerts.yaml", MONITORING / "rules.yaml"]
    with scraping(tmp_path, console, "/metrics", TOKEN, rules) as found:
        wait_until(lambda: found.values("partition_playbook_up") == [1], "a scrape")
        yield found


def drop_next_partition(connection: psycopg.Connection[Any]) -> None:
    following = Interval.MONTH.shift(pendulum.now("UTC").start_of("month"), 1)
    name = sql.Identifier(f"sensor_readings_{Interval.MONTH.suffix(following)}")
    connection.execute(sql.SQL("DROP TABLE {}").format(name))


def test_an_alert_fires_once_a_partition_is_missing(
    prometheus: Prometheus, connection: psycopg.Connection[Any], run: Run
) -> None:
    run.ledger.record_checks([check("disk", True, expected="room", actual="room")])
    for expression in [*dashboard.expressions(), *(f"sensor_readings_{each}" for each in RECORDED.split())]:
        asked = expression.replace("$table", ".+")
        wait_until(lambda asked=asked: prometheus.values(asked), f"data for {asked}")  # type: ignore[misc]
    assert prometheus.states("NoPartitionForNow") == set()

    drop_next_partition(connection)
    wait_until(lambda: prometheus.states("NoPartitionForNow") == {"firing"}, "the alert fires")
    assert prometheus.values('ALERTS{alertname="NoPartitionForNow",severity="critical"}') == [1]
