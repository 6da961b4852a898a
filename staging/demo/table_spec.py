"""The table spec of a demo with another key or another interval than the worked one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pendulum
import yaml

from partition_playbook.codecs import Encoding
from partition_playbook.spec import DEFAULT_TABLES, TABLES_VARIABLE, TableSpec
from staging.instance import PROJECT
from staging.keys import EPOCH, SHIFT, WorkedKey

NAME = "sensor_readings.yaml"
OF_KEYS = PROJECT / "staging" / NAME
# A table with narrow partitions has much data of few days. Its application reads by the interval, with values: now()
# is compared with every partition only when a statement begins, so each plan would have them all.
MOST_FILLED = 48
YEAR = 365
READS_OF_AN_INTERVAL = [
    {
        "name": "one_interval_rows",
        "sql": "SELECT * FROM {table} WHERE {partition_by} >= {interval_start} AND {partition_by} < {interval_end} "
        "ORDER BY {partition_by} LIMIT 1000",
        "since": "{interval_start}",
        "until": "{interval_end}",
    },
    {
        "name": "one_interval_count",
        "sql": "SELECT count(*) FROM {table} "
        "WHERE {partition_by} >= {interval_start} AND {partition_by} < {interval_end}",
        "since": "{interval_start}",
        "until": "{interval_end}",
        "criterion": False,
    },
]


def settings(folder: Path, spec: dict[str, Any]) -> dict[str, str]:
    """Write the spec to a folder, and return the environment of an Airflow that reads its table specs there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(yaml.safe_dump(spec, sort_keys=False))
    return {TABLES_VARIABLE: str(folder.resolve())}


def worked_spec(key: WorkedKey, interval: str | None = None) -> dict[str, Any]:
    """Return the content of the spec for a key; ``interval`` replaces that of the worked one.

    Rows fill at most MOST_FILLED intervals, and twice as many days are kept. ValidationError for a wrong interval.
    """
    spec: dict[str, Any] = yaml.safe_load((OF_KEYS if key.encoding else DEFAULT_TABLES / NAME).read_text())
    if key.encoding:
        spec["encoding"] = str(key.encoding)
    if key.encoding is Encoding.SNOWFLAKE:
        spec |= {"epoch": EPOCH.isoformat(), "shift": SHIFT}
    return spec | _narrow(spec | {"interval": interval}) if interval else spec


def _narrow(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a spec that follow from its interval."""
    interval = TableSpec.model_validate(spec).interval
    keys: dict[str, Any] = {"interval": spec["interval"]}
    if interval.is_ids or MOST_FILLED * interval.days >= YEAR:
        return keys

    days = max(1, int(MOST_FILLED * interval.days))
    synthetic = spec["synthetic"] | {"days": days}
    return keys | {"retention": f"{2 * days} days", "queries": READS_OF_AN_INTERVAL, "synthetic": synthetic}


def days_of_rows(spec: dict[str, Any]) -> int:
    """Return the number of days that the synthetic rows of a spec cover."""
    now = pendulum.now("UTC")
    return (now - TableSpec.model_validate(spec).synthetic_start(now)).days
