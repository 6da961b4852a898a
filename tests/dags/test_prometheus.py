"""A real Prometheus scrapes the console: an alert fires, and every panel of the dashboard is answered."""

from __future__ import annotations

import re
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pendulum
import psycopg
import pytest
from psycopg import sql

from partition_playbook.checks import Check, Outcome, Verdict, check
from partition_playbook.intervals import Interval
from partition_playbook.run import Run
from partition_playbook.sections.preflight import drill
from partition_playbook.spec import Mode, RunParams
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


REHEARSAL = RunParams(table="sensor_readings", mode=Mode.REHEARSE)


def drilled(run: Run, monkeypatch: pytest.MonkeyPatch, url: str, *, within: timedelta = timedelta(minutes=1)) -> Run:
    """Return the run with a spec that names a Prometheus."""
    monkeypatch.setenv("AIRFLOW_CONN_DRILLED", url)
    monitoring = run.spec.monitoring.model_copy(update={"prometheus": "drilled", "drill_within": within})
    return replace(run, spec=run.spec.model_copy(update={"monitoring": monitoring}))


def drill_to_its_end(run: Run) -> Check:
    from partition_playbook.airflow.http import fetch

    current = drill.provoke(run)

    def is_over() -> bool:
        nonlocal current
        current, over = drill.look(run, current, fetch)
        return over

    wait_until(is_over, "the end of the drill")
    return drill.drill_check(run, REHEARSAL)


def test_a_rehearsal_provokes_an_alert_and_sees_it_fire_and_resolved(
    prometheus: Prometheus, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drilled(run, monkeypatch, prometheus.url)
    found = drill_to_its_end(run)
    assert found.outcome is Outcome.PASSED, str(found)
    assert re.fullmatch(r"RehearsalDrill fired after .*, and was resolved after .*", found.actual)
    assert prometheus.values("partition_playbook_drill") == [0]
    assert prometheus.states("RehearsalDrill") == set()


def test_a_drill_that_nobody_scrapes_is_a_no_go_that_may_be_waived(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scraping(tmp_path, 1, "/metrics", TOKEN, [MONITORING / "alerts.yaml"]) as deaf:
        found = drill_to_its_end(drilled(run, monkeypatch, deaf.url, within=timedelta(seconds=1)))
    assert found.blocks
    assert Verdict.of("preflight", [found]).waivable
    assert found.actual == "RehearsalDrill did not fire within 1 s"
    assert "partition_playbook_drill" in found.remedy


def test_a_prometheus_that_does_not_answer_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = drill_to_its_end(drilled(run, monkeypatch, "http://127.0.0.1:1", within=timedelta(seconds=1)))
    assert found.blocks
    assert found.actual.endswith("Prometheus could not be asked: connection drilled: ConnectionError")


def test_the_metric_of_a_drill_ends_with_its_time_and_with_its_run(
    run: Run, connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead worker leaves no alert that fires for ever."""

    def metric() -> Any:
        return (connection.execute("SELECT drill FROM partition_playbook.run_metrics").fetchone() or (None,))[0]

    drill.provoke(drilled(run, monkeypatch, "http://127.0.0.1:1"))
    assert metric() == 1
    run.ledger.close("no-go")
    assert metric() == 0
    connection.execute("UPDATE partition_playbook.runs SET ended_at = NULL")
    assert metric() == 1
    drill.provoke(drilled(run, monkeypatch, "http://127.0.0.1:1", within=timedelta(microseconds=1)))
    assert metric() == 0


def test_only_a_rehearsal_with_a_prometheus_provokes_an_alert(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    named = drilled(run, monkeypatch, "http://127.0.0.1:1")
    production = RunParams(table="sensor_readings", mode=Mode.MIGRATE)
    assert drill.is_wanted(named, REHEARSAL)
    assert not drill.is_wanted(named, production)
    assert not drill.is_wanted(run, REHEARSAL)
    assert drill.drill_check(named, production).outcome is Outcome.SKIPPED
    assert drill.drill_check(run, REHEARSAL).outcome is Outcome.SKIPPED
    assert drill.drill_check(named, REHEARSAL).actual == "no alert was provoked"
