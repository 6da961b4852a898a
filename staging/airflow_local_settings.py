"""Import the modules of all tasks once, in the scheduler, and let it begin after the API server.

LocalExecutor forks its workers from the scheduler, and each task from a worker. A task inherits these modules, which
saves a second. partition_playbook is not among them, so that each task imports its current code.

`airflow standalone` starts scheduler and API server at once. On a busy machine the scheduler is the first by many
seconds. A task that finds no API server fails, and the scheduler of Airflow 3.4.0b2 with it.
"""

from __future__ import annotations

import importlib
import socket
import sys
import time
from urllib.parse import urlsplit

SERVER_SECONDS = 300
MODULES = (
    "airflow.dag_processing.bundles.local",
    "airflow.providers.http.hooks.http",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.trigger_dagrun",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "jinja2.ext",
    "psycopg",
    "yaml",
)


def await_server(url: str, seconds: float = SERVER_SECONDS) -> None:
    """Wait until something listens at an address, or until the time is over."""
    address, deadline = urlsplit(url), time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((address.hostname or "", address.port or 80), timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.1)


if "scheduler" in sys.argv:
    for module in MODULES:
        importlib.import_module(module)
    # The class caches the system's certificates for all later clients.
    importlib.import_module("airflow.sdk.api.client").Client(base_url="http://127.0.0.1", token="").close()

    from airflow.executors.base_executor import get_execution_api_server_url

    await_server(get_execution_api_server_url())
