"""The table spec of the demo with the application: through it the playbook itself asks the application."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from partition_playbook.spec import DEFAULT_TABLES, TABLES_VARIABLE
from staging.backend.history import History
from staging.backend.install import SOURCE
from staging.backend.processes import Server, Worker

NAME = "sensor_readings"
EVERY_SECONDS = 5


def settings(folder: Path) -> dict[str, str]:
    """Return the environment of an Airflow that reads its table specs from a folder, with the worked one in it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(DEFAULT_TABLES / f"{NAME}.yaml", folder)
    return {TABLES_VARIABLE: str(folder.resolve())}


def write(folder: Path, server: Server, worker: Worker, history: History) -> None:
    """Write the worked spec with the addresses, procedures, tests and logs of a running application."""
    spec: dict[str, Any] = yaml.safe_load((DEFAULT_TABLES / f"{NAME}.yaml").read_text())
    # Its users repeat a write with the same id and the same moment, so each stays single without the old key.
    spec["accept"] = ["upserts"]
    spec["application"] |= application(server, history)
    spec["watch"] = {
        "every": EVERY_SECONDS,
        "health": {"application": f"{server.url}/health"},
        "logs": [{"path": str(log.resolve())} for log in (server.log, worker.log)],
    }
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def application(server: Server, history: History) -> dict[str, Any]:
    """Return the keys of ``application`` that need the running application."""
    return {
        "base_url": server.url,
        "http_probes": [{"name": "health", "path": "/health"}, {"name": "dashboard", "path": "/"}],
        "procedures": [
            {"name": each.procedure, "path": f"/trpc/{each.procedure}", "input": each.input}
            for each in history.questions
        ],
        "commands": [
            {
                "name": "application_tests",
                "command": [server.node.program, "dist/test/running.js", server.url],
                "folder": str(SOURCE),
                "max_seconds": 120,
            }
        ],
    }
