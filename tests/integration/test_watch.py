"""Two hours in which errors are looked for: in alerts, logs, health and the database, and not lost by a restart."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.run import Run
from partition_playbook.sections.watch import looks, sources
from partition_playbook.sections.watch.checks import watch_checks
from partition_playbook.sections.watch.looks import Watch
from partition_playbook.sections.watch.sources import Unanswered
from partition_playbook.spec import LogFile, Loki, Prometheus
from partition_playbook.spec import Watch as WatchSpec
from tests.fixtures.web import Quiet, served

Connection = psycopg.Connection[Any]
ANSWER = {"status": "success", "data": {"result": []}}
ALERT = {"metric": {"alertname": "AppErrors", "severity": "critical", "instance": "a:1"}, "value": [0, "1"]}


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "application.log"
    path.write_text("2026-11-30 ERROR before the cutover\n")
    return path


def watching(run: Run, **keys: Any) -> Run:
    return replace(run, spec=run.spec.model_copy(update={"watch": WatchSpec(**keys)}))


def no_fetch(connection: str, endpoint: str, params: Mapping[str, str]) -> Any:
    raise AssertionError("no source is configured")


def judged(run: Run) -> dict[str, Check]:
    watch = Watch.current(run)
    assert watch
    return {each.name: each for each in watch_checks(run, watch)}


def test_a_quiet_watch_passes_and_says_what_was_not_watched(run: Run) -> None:
    watch = looks.begin(run, 120.0)
    for _ in range(3):
        assert looks.take(run, watch, no_fetch) == []
    checks = judged(run)
    assert [name for name, each in checks.items() if each.fell_short] == []
    assert checks["watch_database"].actual == "none in 3 looks"
    assert checks["watch_logs"].outcome is Outcome.SKIPPED
    assert checks["watch_logs"].actual == "the spec has no `watch.logs`"


def test_a_new_line_of_a_log_is_found_with_its_text_and_an_old_one_is_not(run: Run, file: Path) -> None:
    run = watching(run, logs=(LogFile(path=str(file), ignore="harmless"),))
    watch = looks.begin(run, 120.0)
    assert looks.take(run, watch, no_fetch) == []
    with file.open("a") as log:
        log.write("INFO fine\nERROR harmless\nERROR no partition of relation\nFATAL half a li")
    (found,) = looks.take(run, watch, no_fetch)
    assert found == f"logs: {file}: ERROR no partition of relation"
    with file.open("a") as log:
        log.write("ne\n")
    (rest,) = looks.take(run, watch, no_fetch)
    assert rest.endswith("FATAL half a line")
    check = judged(run)["watch_logs"]
    assert check.blocks
    assert "ERROR no partition of relation" in check.actual
    assert "clear watch.observe" in check.remedy


@pytest.mark.parametrize("rotate", ["replaced", "truncated"])
def test_a_rotated_log_is_read_from_its_start(run: Run, file: Path, rotate: str) -> None:
    run = watching(run, logs=(LogFile(path=str(file)),))
    watch = looks.begin(run, 120.0)
    if rotate == "replaced":
        file.rename(file.with_suffix(".1"))
    file.write_text("ERROR new\n")
    assert looks.take(run, watch, no_fetch) == [f"logs: {file}: ERROR new"]


def test_a_log_that_no_worker_can_read_is_no_pass(run: Run, tmp_path: Path) -> None:
    run = watching(run, logs=(LogFile(path=str(tmp_path / "absent.log")),))
    looks.take(run, looks.begin(run, 120.0), no_fetch)
    check = judged(run)["watch_logs"]
    assert check.blocks
    assert check.actual.startswith("not asked in 1 of 1 look: ")
    assert "No such file" in check.actual


def test_a_restart_goes_on_where_the_watch_was(run: Run, file: Path, connection: Connection) -> None:
    run = watching(run, logs=(LogFile(path=str(file)),))
    first = looks.begin(run, 120.0)
    looks.take(run, first, no_fetch)
    with file.open("a") as log:
        log.write("ERROR while everything was down\n")
    again = looks.begin(run, 120.0)
    assert again == first
    assert not again.is_over(run)
    assert len(looks.take(run, again, no_fetch)) == 1
    again.findings, again.started_at = 0, "2026-01-01T00:00:00+00:00"
    assert again.is_over(run)
    again.ended = True
    again.save(run)
    assert looks.begin(run, 120.0).started_at != first.started_at


def test_a_line_is_not_lost_if_the_look_that_read_it_dies_before_it_is_recorded(
    run: Run, file: Path, connection: Connection
) -> None:
    run = watching(run, logs=(LogFile(path=str(file)),))
    watch = looks.begin(run, 120.0)
    with file.open("a") as log:
        log.write("ERROR once\n")
    connection.execute("ALTER TABLE partition_playbook.events ADD CONSTRAINT dies CHECK (kind <> 'look')")
    with pytest.raises(psycopg.errors.CheckViolation):
        looks.take(run, watch, no_fetch)
    connection.execute("ALTER TABLE partition_playbook.events DROP CONSTRAINT dies")
    assert looks.take(run, looks.begin(run, 120.0), no_fetch) == [f"logs: {file}: ERROR once"]


def test_a_finding_ends_the_watch_also_if_its_task_died_right_after(run: Run, file: Path) -> None:
    run = watching(run, logs=(LogFile(path=str(file)),))
    watch = looks.begin(run, 120.0)
    with file.open("a") as log:
        log.write("ERROR once\n")
    looks.take(run, watch, no_fetch)
    again = looks.begin(run, 120.0)
    assert looks.take(run, again, no_fetch) == []
    assert again.is_over(run)


def test_a_gap_between_two_looks_is_a_warning(run: Run, connection: Connection) -> None:
    watch = looks.begin(run, 7200.0)
    watch.started_at = "2026-01-01T00:00:00+00:00"
    watch.save(run)
    looks.take(run, watch, no_fetch)
    check = judged(run)["watch_time"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "the longest gap" in check.actual


def test_a_deadlock_is_found(run: Run, connect: Callable[[], Connection], connection: Connection) -> None:
    watch = looks.begin(run, 120.0)
    watch.counters["deadlocks"] -= 1  # as if one had happened since
    assert looks.take(run, watch, no_fetch) == ["database: 1 deadlock, at most 0 expected"]
    assert judged(run)["watch_database"].blocks
    assert looks.take(watching(run, max_deadlocks=1), watch, no_fetch) == []


def test_reset_statistics_are_no_pass(run: Run, connection: Connection) -> None:
    watch = looks.begin(run, 120.0)
    connection.execute("SELECT pg_stat_reset()")
    assert looks.take(run, watch, no_fetch) == []
    assert "reset the statistics" in judged(run)["watch_database"].actual


def test_a_statement_that_became_slower_is_a_warning(run: Run, connection: Connection) -> None:
    connection.execute("CREATE EXTENSION pg_stat_statements")
    text = "SELECT id FROM sensor_readings, pg_sleep({}) WHERE id = 1"
    for _ in range(2):
        connection.execute(text.format(0))
    watch = looks.begin(run, 120.0)
    assert len(watch.statements) == 1
    for _ in range(looks.LEAST_CALLS):
        connection.execute(text.format(0.02))
    looks.take(run, watch, no_fetch)
    check = judged(run)["watch_statements"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "pg_sleep" in check.actual


# ---- Prometheus, Loki, health


class Answering(Quiet):
    """Answers as Prometheus and Loki do; ``asked`` has the paths with their params."""

    asked: ClassVar[list[tuple[str, dict[str, list[str]]]]] = []
    answers: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        self.asked.append((address.path, parse_qs(address.query)))
        content = self.answers.get(address.path)
        self.send_response(200 if content is not None else 503)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())


@pytest.fixture
def server(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Answering]]:
    """Return a server behind the Airflow connection ``watched``."""
    Answering.asked, Answering.answers = [], {}
    with served(Answering) as address:
        monkeypatch.setenv("AIRFLOW_CONN_WATCHED", address)
        yield Answering


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("airflow")
    os.environ.setdefault("AIRFLOW_HOME", str(home))
    return home


def test_a_firing_alert_is_found(run: Run, server: type[Answering]) -> None:
    from partition_playbook.airflow.http import fetch

    run = watching(run, prometheus=Prometheus(connection="watched"))
    watch = looks.begin(run, 120.0)
    server.answers["/api/v1/query"] = ANSWER
    assert looks.take(run, watch, fetch) == []
    server.answers["/api/v1/query"] = {"status": "success", "data": {"result": [ALERT]}}
    assert looks.take(run, watch, fetch) == ["alerts: alert AppErrors fires (instance=a:1, severity=critical)"]
    assert server.asked[0][1]["query"] == ['ALERTS{alertstate="firing",severity="critical"}']


def test_the_lines_of_loki_since_the_last_look_are_found(run: Run, server: type[Answering]) -> None:
    from partition_playbook.airflow.http import fetch

    run = watching(run, loki=Loki(connection="watched", query='{job="backend"} |~ "error"'))
    watch = looks.begin(run, 120.0)
    stream = {"values": [["2", "second error"], ["1", "first error"]]}
    server.answers["/loki/api/v1/query_range"] = {"status": "success", "data": {"result": [stream]}}
    assert looks.take(run, watch, fetch) == ["loki: first error", "loki: second error"]
    looks.take(run, watch, fetch)
    (_, first), (_, second) = server.asked
    assert first["query"] == ['{job="backend"} |~ "error"']
    assert first["end"] == second["start"]


def test_a_source_that_does_not_answer_is_no_pass(run: Run, server: type[Answering]) -> None:
    from partition_playbook.airflow.http import fetch

    run = watching(run, prometheus=Prometheus(connection="watched"))
    watch = looks.begin(run, 120.0)
    looks.take(run, watch, fetch)
    assert judged(run)["watch_alerts"].blocks
    server.answers["/api/v1/query"] = ANSWER
    looks.take(run, watch, fetch)
    check = judged(run)["watch_alerts"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert check.actual.startswith("not asked in 1 of 2 looks: connection watched: 503:")


def test_a_connection_that_airflow_does_not_have_is_named(run: Run, airflow_home: Path) -> None:
    from partition_playbook.airflow.http import fetch

    with pytest.raises(Unanswered, match=r"nowhere.* isn't defined"):
        fetch("nowhere", "api/v1/query", {})


@pytest.mark.parametrize("answer", [[], {"status": "error"}, {"status": "success"}, "text"])
def test_an_answer_of_another_shape_is_told(answer: Any) -> None:
    with pytest.raises(Unanswered, match="another shape"):
        sources.alerts(Prometheus(connection="x"), lambda *_: answer)


def test_a_bad_health_answer_is_found(run: Run, server: type[Answering], monkeypatch: pytest.MonkeyPatch) -> None:
    address = os.environ["AIRFLOW_CONN_WATCHED"]
    server.answers["/health"] = {}
    run = watching(run, health={"api": f"{address}/health", "web": f"{address}/gone", "dead": "http://127.0.0.1:1/"})
    found = looks.take(run, looks.begin(run, 120.0), no_fetch)
    assert [each for each in found if each.startswith("health: health")] == [
        "health: health web: answered 503",
        "health: health dead: no answer: ConnectError",
    ]


def test_moments_of_loki_are_nanoseconds() -> None:
    assert sources._nanoseconds(datetime(2026, 1, 1, 0, 0, 0, 123456, UTC)) == "1767225600123456000"
