"""Ask the real monitoring: are the shipped alerts loaded in Prometheus, and the shipped panels in Grafana."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from partition_playbook import figures, resources
from partition_playbook.checks import Check, check, skipped
from partition_playbook.sections.watch.sources import Fetch, Unanswered
from partition_playbook.spec import Grafana, Monitoring

FOLDER = resources.folder("monitoring")
# Rules are evaluated each minute by default.
LATEST = timedelta(minutes=10)
ALERTS, DASHBOARD = "monitoring_alerts", "monitoring_dashboard"
EXPECTED_ALERTS = "the shipped alerts are loaded, healthy and evaluated, and an alert manager takes them"
EXPECTED_PANELS = "the dashboard has every shipped panel"


def monitoring_checks(monitoring: Monitoring, fetch: Fetch) -> list[Check]:
    """Return one check for Prometheus and one for Grafana; skipped where the spec names none."""
    return [_alerts_check(monitoring.prometheus, fetch), _dashboard_check(monitoring.grafana, fetch)]


def _alerts_check(connection: str | None, fetch: Fetch) -> Check:
    if connection is None:
        return skipped(ALERTS, "the spec has no `monitoring.prometheus`", expected=EXPECTED_ALERTS)
    shipped = [each["alert"] for group in _alerts()["groups"] for each in group["rules"]]
    try:
        problems = list(_alert_problems(connection, fetch, shipped))
    except Unanswered as error:
        problems = [str(error)]
    return check(
        ALERTS,
        not problems,
        expected=EXPECTED_ALERTS,
        actual="; ".join(problems) or f"{figures.count(len(shipped), 'alert')} loaded and healthy",
        remedy="Add monitoring/alerts.yaml to `rule_files` of Prometheus, and an alert manager to `alerting`. Reload "
        "it, then clear preflight.check_preconditions",
    )


def _alert_problems(connection: str, fetch: Fetch, shipped: list[str]) -> Iterator[str]:
    groups = _data(fetch(connection, "api/v1/rules", {"type": "alert"}))["groups"]
    loaded = {each["name"]: each for group in groups for each in group["rules"]}
    if absent := [name for name in shipped if name not in loaded]:
        yield f"not loaded: {', '.join(absent)}"

    found = {name: loaded[name] for name in shipped if name in loaded}
    if failing := [
        f"{name} ({each.get('lastError') or each['health']})" for name, each in found.items() if each["health"] != "ok"
    ]:
        yield f"not healthy: {', '.join(failing)}"
    if late := [name for name, each in found.items() if _age(each) > LATEST]:
        yield f"not evaluated for {figures.seconds(LATEST.total_seconds())}: {', '.join(late)}"
    if not _data(fetch(connection, "api/v1/alertmanagers", {}))["activeAlertmanagers"]:
        yield "no alert manager is active, so nobody is told"


def _age(rule: dict[str, Any]) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(str(rule["lastEvaluation"]))


def _data(answer: Any) -> Any:
    """Return the data of an answer of Prometheus; Unanswered for any other shape."""
    if isinstance(answer, dict) and answer.get("status") == "success" and isinstance(answer.get("data"), dict):
        return answer["data"]
    raise Unanswered(f"an answer of another shape: {str(answer)[:80]}")


def _dashboard_check(grafana: Grafana | None, fetch: Fetch) -> Check:
    if grafana is None:
        return skipped(DASHBOARD, "the spec has no `monitoring.grafana`", expected=EXPECTED_PANELS)
    shipped = _panels(json.loads((FOLDER / "dashboard.json").read_text()))
    try:
        answer = fetch(grafana.connection, f"api/dashboards/uid/{grafana.dashboard}", {})
        found = _panels(answer["dashboard"])
        problem = "; ".join(f"no panel asks {each}" for each in sorted(shipped - found))
    except Unanswered as error:
        problem = str(error)
    except (TypeError, KeyError):
        problem = "an answer of another shape"
    return check(
        DASHBOARD,
        not problem,
        expected=EXPECTED_PANELS,
        actual=problem or f"{figures.count(len(shipped), 'expression')} found",
        remedy="Import monitoring/dashboard.json into Grafana, or name the dashboard's uid in `monitoring.grafana`",
    )


def _panels(dashboard: dict[str, Any]) -> set[str]:
    """Return the expressions of all panels, also of those in collapsed rows."""
    panels = [*dashboard.get("panels", ())]
    panels += [inner for each in panels for inner in each.get("panels") or ()]
    return {target["expr"] for each in panels for target in each.get("targets") or () if target.get("expr")}


def _alerts() -> Any:
    return yaml.safe_load((FOLDER / "alerts.yaml").read_text())
