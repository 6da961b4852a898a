"""The sources of a watch: each returns its findings, and raises Unanswered if it cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from partition_playbook.sections.application.http_probes import http_probe_checks
from partition_playbook.spec import Application, Loki, Prometheus

# Sends a GET to an Airflow connection of type http and returns the JSON; raises Unanswered.
Fetch = Callable[[str, str, Mapping[str, str]], Any]
HEALTH_SECONDS = 5.0
# A look keeps no more of one source; the rest of a line may be a secret or a whole document.
MOST_LINES = 20
LINE_LENGTH = 300


class Unanswered(Exception):
    """A source could not be asked; the text says why."""


def alerts(prometheus: Prometheus, fetch: Fetch) -> list[str]:
    """Return the firing alerts that the selector of the spec matches."""
    series = firing(prometheus.connection, prometheus.alerts, fetch)
    return sorted({f"alert {each.get('alertname', '?')} fires ({_labels(each)})"[:LINE_LENGTH] for each in series})


def firing(connection: str, selector: str, fetch: Fetch) -> list[Mapping[str, str]]:
    """Return the labels of the alerts that fire now in a Prometheus and match a selector."""
    query = f'ALERTS{{alertstate="firing",{selector}}}'
    return [each["metric"] for each in _result(fetch(connection, "api/v1/query", {"query": query}))]


def _labels(metric: Mapping[str, str]) -> str:
    hidden = ("__name__", "alertname", "alertstate")
    return ", ".join(f"{name}={value}" for name, value in sorted(metric.items()) if name not in hidden)


def loki_lines(loki: Loki, fetch: Fetch, since: datetime, until: datetime) -> list[str]:
    """Return the log lines of Loki between two moments, oldest first, at most MOST_LINES."""
    params = {
        "query": loki.query,
        "start": _nanoseconds(since),
        "end": _nanoseconds(until),
        "limit": str(MOST_LINES),
        "direction": "forward",
    }
    found = _result(fetch(loki.connection, "loki/api/v1/query_range", params))
    lines = sorted((moment, line) for stream in found for moment, line in stream["values"])
    return [line[:LINE_LENGTH] for _, line in lines]


def _nanoseconds(moment: datetime) -> str:
    return f"{int(moment.timestamp() * 1_000_000)}000"


def _result(answer: Any) -> list[Any]:
    """Return the result of a query of Prometheus or Loki; Unanswered for any other shape."""
    try:
        if answer["status"] == "success":
            return list(answer["data"]["result"])
    except (TypeError, KeyError):
        pass
    raise Unanswered(f"an answer of another shape: {str(answer)[:80]}")


def health(addresses: Mapping[str, str], application: Application) -> Iterator[str]:
    """Yield each health address and HTTP probe with a bad answer."""
    import httpx

    for name, address in addresses.items():
        try:
            status = httpx.get(address, timeout=HEALTH_SECONDS, follow_redirects=True).status_code
        except httpx.HTTPError as error:
            yield f"health {name}: no answer: {type(error).__name__}"
            continue
        if status >= 400:
            yield f"health {name}: answered {status}"

    for each in http_probe_checks(application, ""):
        if each.blocks:
            yield f"{each.name}: {each.actual}"[:LINE_LENGTH]
