"""Measure the overhead of Airflow: the import of the DAG files, and the task of a load compared with the load."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import psycopg

from staging import environment
from staging.instance import PROJECT

IMPORTS = """
import sys, time, json, importlib.util
from pathlib import Path
sys.path.insert(0, "plugins")
import airflow.dag_processing.processor
found = {}
for name in sorted(file.stem for file in Path("dags").glob("*.py")):
    for module in [each for each in sys.modules if each.startswith("partition_playbook")]:
        del sys.modules[module]
    started = time.perf_counter()
    spec = importlib.util.spec_from_file_location(name, f"dags/{name}.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    found[name] = round(time.perf_counter() - started, 3)
print(json.dumps(found))
"""
REHEARSAL = {
    "table": "sensor_readings",
    "mode": "rehearse",
    "backup": "skip",
    "allow_existing_rows": True,
    "accept_weaker_uniqueness": True,
}

LIMIT_SECONDS = 900


def import_seconds() -> dict[str, float]:
    """Return the seconds for importing each DAG file, in a new interpreter with the modules of the DAG processor."""
    settings = os.environ | {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], cwd=PROJECT, env=settings, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def load_overhead(rows: int = 100_000) -> dict[str, Any]:
    """Rehearse a small table in a running Airflow; return the overhead of the load tasks in seconds."""
    staging = environment.start()
    with staging.airflow.client() as client:
        client.wait_for_dag("partition_migration")
        run = client.trigger("partition_migration", REHEARSAL | {"synthetic_rows": rows, "leave": "original"})
        limit = time.monotonic() + LIMIT_SECONDS
        while not run.finished and time.monotonic() < limit:
            time.sleep(1)
            run = client.run("partition_migration", run.run_id)
        tasks = client.task_instances("partition_migration", run.run_id)
    loads = [each for each in tasks if each.task_id == "migration.load_partition" and each.start and each.end]

    took = sum((each.end - each.start).total_seconds() for each in loads if each.start and each.end)
    worked = _loaded_seconds(staging.database, run.run_id)
    starts = sorted(each.start.timestamp() for each in loads if each.start)
    return {
        "loads": len(loads),
        "task_seconds_each": round(took / max(len(loads), 1), 3),
        "overhead_seconds_each": round((took - sum(worked)) / max(len(loads), 1), 3),
        "seconds_between_starts": round(statistics.median(_gaps(starts)), 3) if len(starts) > 1 else None,
    }


def _gaps(starts: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(starts)]


def _loaded_seconds(conninfo: str, run_id: str) -> list[float]:
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM ended_at - started_at)::float8 FROM partition_playbook.loads "
            "WHERE run_id = %s AND expected_rows > 0",
            (run_id,),
        ).fetchall()
    return [float(seconds) for (seconds,) in rows if seconds is not None]
