"""The report as one HTML page that needs nothing beside it: no script, no font, no other file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from partition_playbook.evidence import charts

NAME = "report.html"
TEMPLATES = Path(__file__).resolve().parents[3] / "include"


def render(content: dict[str, Any]) -> str:
    """Return what the report tells as HTML; whatever comes from data is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters["shown"] = _shown
    return environment.get_template("report.html.j2").render(report=content, charts=_charts(content))


def _charts(content: dict[str, Any]) -> dict[str, Markup]:
    sections = [(each["section"], each["started_at"], each["ended_at"]) for each in content["durations"]]
    loads = [(each["partition"], each["started_at"], each["ended_at"]) for each in content["loads"] if each["ended_at"]]
    locks = [
        (f"{each['swap']}, {what}", each[f"{what}_ms"])
        for each in content["swaps"]
        for what in ("waited", "held")
        if each[f"{what}_ms"] is not None
    ]
    return {
        "sections": charts.timeline("Each section from its first to its last trace", sections),
        "loads": charts.timeline("Each partition's load from its start to its end", loads),
        "locks": charts.bars("How long each swap waited for its lock and held it", locks, "ms"),
    }


def _shown(value: object) -> str:
    """Return a value of the ledger as a person reads it: a moment to the second, a hyphen for what is not known."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S %Z}"
    return "-" if value is None else str(value)
