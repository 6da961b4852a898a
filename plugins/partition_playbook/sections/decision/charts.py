"""Draw the charts of the report as inline SVG: no script, no font, no external address."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from partition_playbook import figures

if TYPE_CHECKING:
    from pygal.graph.graph import Graph

WIDTH = 720
ROW = 26
AXIS = 56
# Visible on a light and on a dark background. pygal computes with the value, so it can't be a CSS variable.
BAR = "#3f87cc"
SHORTEST = 0.004  # of the axis: a shorter bar would be invisible


def timeline(title: str, spans: Sequence[tuple[str, datetime, datetime]]) -> Markup:
    """Draw one bar per span, on a time axis that starts with the first span; empty markup without spans."""
    if not spans:
        return Markup()
    import pygal

    began = min(started for _, started, _ in spans)
    whole = max((ended - began).total_seconds() for *_, ended in spans) or 1.0

    chart = pygal.XY(
        **_look(title, len(spans), bar_width=ROW - 10),
        show_dots=False,
        allow_interruptions=True,
        inverse_y_axis=True,
        range=(-0.5, len(spans) - 0.5),
        xrange=(0, whole),
        x_value_formatter=_elapsed,
        max_scale=8,
        show_x_guides=True,
        show_y_guides=False,
    )

    chart.y_labels = [{"label": name, "value": row} for row, (name, *_) in enumerate(spans)]
    for row, (name, started, ended) in enumerate(spans):
        first, last = ((moment - began).total_seconds() for moment in (started, ended))
        chart.add(name, [(first, row), (max(last, first + SHORTEST * whole), row)])
    return _draw(chart, title)


def bars(title: str, values: Sequence[tuple[str, float]], unit: str) -> Markup:
    """Draw one horizontal bar per value, the first at the top; empty markup without values."""
    if not values:
        return Markup()
    import pygal

    chart = pygal.HorizontalBar(
        **_look(title, len(values), bar_width=0), value_formatter=lambda value: figures.measured(value, unit)
    )
    # pygal draws the first value at the bottom.
    chart.x_labels = [name for name, _ in reversed(values)]
    chart.add(title, [value for _, value in reversed(values)])
    return _draw(chart, title)


def line(title: str, points: Sequence[tuple[datetime, float]]) -> Markup:
    """Draw one line over time, from its first point; empty markup with fewer than two points."""
    if len(points) < 2:
        return Markup()
    import pygal

    began = points[0][0]
    chart = pygal.XY(
        **_look(title, 8, bar_width=2),
        show_dots=False,
        x_value_formatter=_elapsed,
        value_formatter=lambda value: figures.number(value),
        max_scale=8,
    )
    chart.add(title, [((moment - began).total_seconds(), value) for moment, value in points])
    return _draw(chart, title)


def _look(title: str, rows: int, bar_width: int) -> dict[str, Any]:
    """Return the options of every chart: the colours and the font of the page."""
    from pygal.style import Style

    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--text)",
        foreground_strong="var(--text)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        colors=(BAR,) * max(rows, 1),
        font_family="inherit",
        label_font_size=13,
        major_label_font_size=13,
        opacity="1",
        stroke_opacity="1",
        stroke_width=str(bar_width),
        transition="none",
    )
    return {
        "style": style,
        "js": [],
        "width": WIDTH,
        "height": AXIS + ROW * rows,
        "margin": 8,
        "show_legend": False,
        "truncate_label": -1,
        "disable_xml_declaration": True,
    }


def _draw(chart: Graph, title: str) -> Markup:
    """Return the SVG with a title for screen readers, without the script of settings that pygal adds."""

    def finish(root: Any) -> Any:
        definitions = root.find("defs")
        for script in definitions.findall("script"):
            definitions.remove(script)
        root.find("title").text = title
        root.set("role", "img")
        return root

    chart.add_xml_filter(finish)
    return Markup(chart.render(is_unicode=True))


def _elapsed(seconds: float) -> str:
    return figures.seconds(seconds) if seconds else "0"
