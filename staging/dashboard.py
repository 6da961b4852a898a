"""The dashboard for Grafana as code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos, VariableHide, VariableRefresh

UID = "partition-playbook"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HERE = '{table=~"$table"}'
P = "partition_playbook_"
PER_ROW, HEIGHT = 3, 7


@dataclass(frozen=True)
class Shown:
    """One panel: its title, its expression, its unit, and the text of a line in its legend."""

    title: str
    expr: str
    unit: str = "short"
    legend: str = "{{table}}"
    newest: bool = False


TABLES = (
    Shown("Partitions", f"{P}partitions{HERE}", newest=True),
    Shown("Partitions ahead", f"{P}partitions_ahead{HERE}"),
    Shown("Health (1: not red)", f"{P}healthy{HERE}", newest=True),
    Shown("Rows, estimated", f"{P}rows_estimate{HERE}"),
    Shown("Size", f"{P}bytes{HERE}", "bytes"),
    Shown("Size of the newest partitions", f"{P}partition_bytes{HERE}", "bytes", "{{partition}}"),
    Shown("Rows in the default partition", f"{P}default_rows{HERE}"),
    Shown("Growth per day", f"{P}bytes_per_day{HERE}", "bytes"),
    Shown("Missing partitions", f"{P}partition_gaps{HERE}"),
    Shown("Time until the next maintenance", f"{P}maintenance_due_timestamp_seconds{HERE} - time()", "s", newest=True),
    Shown("Problems", f"sum by (table, check) ({P}problems{HERE})", legend="{{table}} {{check}}"),
    Shown(
        "Overdue retention and drops",
        f"{P}retention_overdue_partitions{HERE} + {P}detached_overdue_partitions{HERE}",
    ),
)
MIGRATION = (
    Shown("Phase", f"{P}run_phase{HERE}", legend="{{table}} {{phase}} ({{run}})", newest=True),
    Shown("Share of loads done", f"{P}loads_done{HERE} / clamp_min({P}loads{HERE}, 1)", "percentunit"),
    Shown("Rows loaded per second", f"rate({P}rows_loaded_total{HERE}[5m])"),
    Shown(
        "Share of the change log in use",
        f"{P}change_log_bytes{HERE} / clamp_min({P}change_log_limit_bytes{HERE}, 1)",
        "percentunit",
    ),
    Shown("Waiting changes", f"{P}change_log_rows{HERE}"),
    Shown("Longest wait of a change", f"{P}change_log_oldest_age_seconds{HERE}", "s"),
    Shown("Locks held by the last swap", f"{P}cutover_lock_held_seconds{HERE}", "s", "{{table}} {{direction}}", True),
    Shown("Throttled", f"rate({P}throttled_seconds_total{HERE}[5m])", legend="{{table}} {{reason}}"),
    Shown("Sessions that wait for a lock", f"{P}lock_waiters{HERE}"),
    Shown("Checks", f"sum by (table, outcome) ({P}checks{HERE})", legend="{{table}} {{outcome}}", newest=True),
    Shown("Rollback possible", f"{P}rollback_possible{HERE}", newest=True),
    Shown("Capture lost", f"{P}capture_lost{HERE}", newest=True),
)
ROWS = {"Tables": TABLES, "Migration": MIGRATION}


def text() -> str:
    """Return the dashboard as JSON, as Grafana imports it."""
    return json.dumps(_build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def expressions() -> Iterator[str]:
    """Yield the expression of each panel."""
    yield from (each.expr for panels in ROWS.values() for each in panels)


def _build() -> Any:
    board = (
        Dashboard("Partition Playbook")
        .uid(UID)
        .tags(["postgresql", "partitions"])
        .refresh("1m")
        .time("now-24h", "now")
        .timezone("browser")
        .readonly()
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            QueryVariable("table")
            .label("Table")
            .query(f"label_values({P}info, table)")
            .datasource(SOURCE)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .hide(VariableHide.DONT_HIDE)
            .multi(True)
            .include_all(True)
        )
    )
    top = 0
    for title, panels in ROWS.items():
        board = board.with_row(Row(title).id(top + 1))
        for number, each in enumerate(panels):
            line, place = divmod(number, PER_ROW)
            where = GridPos(HEIGHT, 24 // PER_ROW, 24 // PER_ROW * place, top + 1 + HEIGHT * line)
            board = board.with_panel(_panel(each).id(100 * (top + 1) + number).grid_pos(where))
        top += 1 + HEIGHT * -(-len(panels) // PER_ROW)
    return board.build()


def _panel(each: Shown) -> Stat | Timeseries:
    query = Dataquery().expr(each.expr).legend_format(each.legend).datasource(SOURCE)
    if each.newest:
        panel: Stat | Timeseries = Stat().with_target(query.instant())
    else:
        panel = Timeseries().legend(VizLegendOptions()).tooltip(VizTooltipOptions()).with_target(query)
    return panel.title(each.title).datasource(SOURCE).unit(each.unit)
