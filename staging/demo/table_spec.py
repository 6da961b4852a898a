"""The table spec of the demo with an id that carries time: staging/sensor_readings.yaml with another encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from partition_playbook.codecs import Encoding
from partition_playbook.spec import TABLES_VARIABLE
from staging.instance import PROJECT
from staging.keys import EPOCH, SHIFT, WorkedKey

FILE = PROJECT / "staging" / "sensor_readings.yaml"


def settings(folder: Path, key: WorkedKey) -> dict[str, str]:
    """Write the spec to a folder, and return the environment of an Airflow that reads its table specs there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE.name).write_text(yaml.safe_dump(worked_spec(key), sort_keys=False))
    return {TABLES_VARIABLE: str(folder.resolve())}


def worked_spec(key: WorkedKey) -> dict[str, Any]:
    """Return the content of the spec for a key."""
    spec: dict[str, Any] = yaml.safe_load(FILE.read_text())
    spec["encoding"] = str(key.encoding)
    if key.encoding is Encoding.SNOWFLAKE:
        spec |= {"epoch": EPOCH.isoformat(), "shift": SHIFT}
    return spec
