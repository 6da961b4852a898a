"""Preflight asks the real monitoring: a Prometheus with the shipped alerts, and a Grafana with the shipped panels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from partition_playbook.checks import Check, Outcome, Verdict
from partition_playbook.sections.preflight.monitoring import FOLDER, monitoring_checks
from partition_playbook.spec import Grafana, Monitoring
from tests.fixtures import prometheus
from tests.fixtures.prometheus import Prometheus, scraping
from tests.fixtures.web import Quiet, served

ALERTS = FOLDER / "alerts.yaml"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Check]]:
    """Return a function that makes both checks of a spec against an address, by name."""
    from partition_playbook.airflow.http import fetch

    def judge(address: str, **monitoring: Any) -> dict[str, Check]:
        monkeypatch.setenv("AIRFLOW_CONN_WATCHED", address)
        return {each.name: each for each in monitoring_checks(Monitoring(**monitoring), fetch)}

    return judge


def rules(folder: Path, without: str = "", extra: dict[str, str] | None = None) -> Path:
    """Write the shipped alerts without one of them, or with one more."""
    content = yaml.safe_load(ALERTS.read_text())
    for group in content["groups"]:
        group["rules"] = [each for each in group["rules"] if each["alert"] != without]
        if extra:
            group["rules"] = [each | extra if each["alert"] == "XidAge" else each for each in group["rules"]]
    path = folder / "alerts.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def evaluated(server: Prometheus) -> None:
    """Wait until every rule was evaluated once."""

    def healths() -> set[str]:
        groups = server.ask("api/v1/rules")["groups"]
        return {each["health"] for group in groups for each in group["rules"]}

    prometheus.wait_until(lambda: "unknown" not in healths(), "every rule was evaluated")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder for the rules as a person wrote them, and one for Prometheus."""
    found = tmp_path / "rules", tmp_path / "prometheus"
    for each in found:
        each.mkdir()
    return found


def test_the_shipped_alerts_in_a_prometheus_with_an_alert_manager_pass(
    judged: Callable[..., dict[str, Check]], folders: tuple[Path, Path]
) -> None:
    with scraping(folders[1], 1, "/metrics", "x", [ALERTS], alert_manager=True) as server:
        evaluated(server)
        prometheus.wait_until(
            lambda: server.ask("api/v1/alertmanagers")["activeAlertmanagers"], "the alert manager is discovered"
        )
        check = judged(server.url, prometheus="watched")["monitoring_alerts"]
    assert check.outcome is Outcome.PASSED, str(check)
    assert check.actual.endswith("loaded and healthy")


def test_a_missing_alert_a_failing_one_and_no_alert_manager_are_named(
    judged: Callable[..., dict[str, Check]], folders: tuple[Path, Path]
) -> None:
    failing = {"expr": 'vector(1) * on() group_left() (vector(1) or label_replace(vector(2), "a", "b", "", ""))'}
    path = rules(folders[0], without="CaptureLost", extra=failing)
    with scraping(folders[1], 1, "/metrics", "x", [path]) as server:
        evaluated(server)
        check = judged(server.url, prometheus="watched")["monitoring_alerts"]
    assert check.blocks
    assert Verdict.of("preflight", [check]).waivable
    assert "not loaded: CaptureLost" in check.actual
    assert "not healthy: XidAge (" in check.actual
    assert "no alert manager is active" in check.actual
    assert "monitoring/alerts.yaml" in check.remedy


class Answers(Quiet):
    """A Grafana with one dashboard."""

    dashboard: ClassVar[Any] = None

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/dashboards/uid/partition-playbook" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"dashboard": self.dashboard}).encode())


@pytest.fixture
def grafana() -> Iterator[str]:
    Answers.dashboard = DASHBOARD
    with served(Answers) as address:
        yield address


def test_the_shipped_dashboard_passes_also_with_more_panels(
    judged: Callable[..., dict[str, Check]], grafana: str
) -> None:
    more = {"title": "own", "targets": [{"expr": "up"}]}
    Answers.dashboard = DASHBOARD | {"panels": [*DASHBOARD["panels"], more]}
    check = judged(grafana, grafana=Grafana(connection="watched"))["monitoring_dashboard"]
    assert check.outcome is Outcome.PASSED, str(check)


def test_a_missing_panel_and_a_missing_dashboard_are_named(
    judged: Callable[..., dict[str, Check]], grafana: str
) -> None:
    *kept, last = [each for each in DASHBOARD["panels"] if each.get("targets")]
    Answers.dashboard = DASHBOARD | {"panels": kept}
    check = judged(grafana, grafana=Grafana(connection="watched"))["monitoring_dashboard"]
    assert check.blocks
    assert f"no panel asks {last['targets'][0]['expr']}" in check.actual
    check = judged(grafana, grafana=Grafana(connection="watched", dashboard="other"))["monitoring_dashboard"]
    assert check.blocks
    assert check.actual.startswith("connection watched: ")


def test_a_spec_without_them_skips_both(judged: Callable[..., dict[str, Check]]) -> None:
    assert {each.outcome for each in judged("http://127.0.0.1:1").values()} == {Outcome.SKIPPED}


@pytest.mark.parametrize("answer", [[], {"status": "success", "data": []}, "text", {"status": "error"}])
def test_another_shape_is_no_pass(answer: Any) -> None:
    spec = Monitoring(prometheus="x", grafana=Grafana(connection="x"))
    assert all(each.blocks for each in monitoring_checks(spec, lambda *_: answer))
