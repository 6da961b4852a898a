"""Write the files in ``monitoring/`` that follow from code: `make monitoring`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from partition_playbook import metrics
from partition_playbook.metrics import Group, Metric
from staging import dashboard
from staging.instance import PROJECT

FOLDER = PROJECT / "monitoring"
HEAD = "# Written by `make monitoring` from the metrics of Partition Playbook: do not edit.\n"
# postgres_exporter joins the key of a query and the name of a column with an underscore, and takes each key once.
SHARED_KEYS = {metrics.TABLES: "partition_playbook", metrics.RUNS: "partition"}


def files() -> dict[str, str]:
    """Return the text of each file."""
    return {
        "dashboard.json": dashboard.text(),
        "queries.yaml": HEAD + _dump(dict(_postgres_exporter())),
        "partition_playbook.collector.yml": HEAD + _dump(_sql_exporter()),
    }


def _dump(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=160)


def _postgres_exporter() -> Iterator[tuple[str, dict[str, Any]]]:
    for group in metrics.GROUPS:
        shared = [each for each in group.metrics if group in SHARED_KEYS and each.labels == metrics.TABLE]
        if shared:
            yield SHARED_KEYS[group], _query(group, SHARED_KEYS[group], shared)
        for each in group.metrics:
            if each not in shared:
                yield each.name, _query(group, "", [each])


def _query(group: Group, key: str, asked: list[Metric]) -> dict[str, Any]:
    """Return one query; without a shared key its only value is the column ``value``."""
    labels = asked[0].labels
    names = {each: each.name.removeprefix(f"{key}_") if key else "value" for each in asked}
    columns = ", ".join([*(f'"{label}"' for label in labels), *(f"{each.column} AS {names[each]}" for each in asked)])
    values = [{names[each]: {"usage": each.kind.upper(), "description": each.text}} for each in asked]
    return {
        "query": f"SELECT {columns} FROM {group.name}",
        "metrics": [*({label: {"usage": "LABEL", "description": label}} for label in labels), *values],
    }


def _sql_exporter() -> dict[str, Any]:
    return {
        "collector_name": "partition_playbook",
        "min_interval": "15s",
        "metrics": [
            {
                "metric_name": each.name,
                "type": str(each.kind),
                "help": each.text,
                "key_labels": list(each.labels),
                "values": [each.column],
                "query_ref": group.view,
            }
            for group in metrics.GROUPS
            for each in group.metrics
        ],
        "queries": [{"query_name": each.view, "query": f"SELECT * FROM {each.name}"} for each in metrics.GROUPS],
    }


def main() -> None:
    """Write the files."""
    for name, text in files().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
