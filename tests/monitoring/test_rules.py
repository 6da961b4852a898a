"""The files in ``monitoring/``: each rule is valid, fires and keeps silent, and leads to its runbook."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from partition_playbook import metrics
from partition_playbook.sections.preflight import drill
from staging import dashboard, monitoring, prometheus
from tests.unit.test_docs import slugs

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "monitoring"
TESTS = sorted(Path(__file__).parent.glob("*.test.yaml"))
KNOWN = {each.name for group in metrics.GROUPS for each in group.metrics} | {"partition_playbook_up"}


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((FOLDER / name).read_text())["groups"] for rule in group["rules"]]


ALERTS, RECORDS = rules("alerts.yaml"), rules("rules.yaml")
EXPRESSIONS = [each["expr"] for each in (*ALERTS, *RECORDS)] + [
    each.replace("$table", ".+") for each in dashboard.expressions()
]


def run(*arguments: str) -> str:
    done = subprocess.run([prometheus.program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_rules_and_the_configuration(tmp_path: Path) -> None:
    for name in ("alerts.yaml", "rules.yaml", "prometheus.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    (tmp_path / "partition_playbook.token").write_text("a secret")
    run("check", "config", str(tmp_path / "prometheus.yaml"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_alert_fires_and_keeps_silent(path: Path) -> None:
    run("test", "rules", str(path))


def test_every_alert_has_a_test_of_both_kinds() -> None:
    tried = {
        (alert["alertname"], bool(alert["exp_alerts"]))
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for alert in test.get("alert_rule_test", ())
    }
    assert tried == {(each["alert"], fires) for each in ALERTS for fires in (True, False)}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_promql_over_metrics_that_exist(expression: str) -> None:
    promql_parser.parse(expression)
    assert set(re.findall(r"\bpartition_playbook_\w+", expression)) <= KNOWN


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_leads_to_its_runbook(alert: dict[str, Any]) -> None:
    file, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert anchor == alert["alert"].lower()
    assert anchor in slugs(ROOT / file)
    # An alert of a rehearsal wakes nobody.
    expected = ("info",) if alert["alert"] == drill.ALERT else ("warning", "critical")
    assert alert["labels"]["severity"] in expected
    shown = (ROOT / "docs" / "monitoring.md").read_text()
    assert f"[{alert['alert']}](operations.md#{anchor})" in shown


@pytest.mark.parametrize("name", monitoring.files())
def test_the_file_is_what_the_code_writes(name: str) -> None:
    assert (FOLDER / name).read_text() == monitoring.files()[name], "run `make monitoring`"


def test_no_two_panels_have_one_id() -> None:
    ids = [panel["id"] for panel in json.loads(dashboard.text())["panels"]]
    assert len(ids) == len(set(ids)) > 20
