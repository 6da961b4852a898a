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


def settings(folder: Path, spec: dict[str, Any]) -> dict[str, str]:
    """Write the spec to a folder, and return the environment of an Airflow that reads its table specs there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(yaml.safe_dump(spec, sort_keys=False))
    return {TABLES_VARIABLE: str(folder.resolve())}


def worked_spec(key: WorkedKey, interval: str | None = None) -> dict[str, Any]:
    """Return the content of the spec for a key; ``interval`` replaces that of the worked one."""
    spec: dict[str, Any] = yaml.safe_load((OF_KEYS if key.encoding else DEFAULT_TABLES / NAME).read_text())
    if key.encoding:
        spec["encoding"] = str(key.encoding)
    if key.encoding is Encoding.SNOWFLAKE:
        spec |= {"epoch": EPOCH.isoformat(), "shift": SHIFT}
    if interval:
        spec["interval"] = interval
    return spec


def days_of_rows(spec: dict[str, Any]) -> int:
    """Return the number of days that the synthetic rows of a spec cover."""
    now = pendulum.now("UTC")
    return (now - TableSpec.model_validate(spec).synthetic_start(now)).days
