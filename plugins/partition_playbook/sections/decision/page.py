"""Write the report as one self-contained HTML page: no script, no font, no second file."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from partition_playbook import figures, resources
from partition_playbook.sections.decision import charts

TEMPLATES = resources.folder("include")


MOST_BARS = 24  # of a chart; longer tables are folded too


def shown(value: object) -> str:
    """Return a text or a moment of the ledger: moments to the second, a hyphen for NULL."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S %Z}"
    return "-" if value is None else str(value)


FILTERS = {**figures.FILTERS, "shown": shown}


def render(content: dict[str, Any]) -> str:
    """Return the report as HTML; every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters.update(FILTERS)

    template = environment.get_template("report.html.j2")
    return template.render(report=content, charts=_charts(content), writers=figures.FILTERS, most=MOST_BARS)


def _seconds(span: tuple[str, datetime, datetime]) -> float:
    _, started, ended = span
    return (ended - started).total_seconds()


def _charts(content: dict[str, Any]) -> dict[str, Markup]:
    sections = [(each["section"], each["started_at"], each["ended_at"]) for each in content["durations"]]
    ended = [(each["partition"], each["started_at"], each["ended_at"]) for each in content["loads"] if each["ended_at"]]
    loads = sorted(sorted(ended, key=_seconds, reverse=True)[:MOST_BARS], key=lambda each: each[1])
    title = "Load of each partition" if len(ended) <= MOST_BARS else f"The {figures.number(MOST_BARS)} slowest loads"
    locks = [
        (f"{each['swap']}, {part}", each[f"{part}_ms"])
        for each in content["swaps"]
        for part in ("waited", "held")
        if each[f"{part}_ms"] is not None
    ]
    looks = content["looks"]
    rolled_back = [(later["at"], later["rollbacks"] - earlier["rollbacks"]) for earlier, later in pairwise(looks)]
    return {
        "watch": charts.line("Transactions rolled back in the database between two looks", rolled_back),
        "sections": charts.timeline("First to last ledger entry of each section", sections),
        "loads": charts.timeline(f"{title}, from start to end", loads),
        "locks": charts.bars("Lock wait and lock time of each swap", locks, "ms"),
    }
