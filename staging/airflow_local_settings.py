"""Import the modules of all tasks once, in the scheduler.

LocalExecutor forks its workers from the scheduler, and each task from a worker. A task inherits these modules, which
saves a second. partition_playbook is not among them, so that each task imports its current code.
"""

from __future__ import annotations

import importlib
import sys

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

if "scheduler" in sys.argv:
    for module in MODULES:
        importlib.import_module(module)
    # The class caches the system's certificates for all later clients.
    importlib.import_module("airflow.sdk.api.client").Client(base_url="http://127.0.0.1", token="").close()
