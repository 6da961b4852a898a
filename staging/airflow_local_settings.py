"""Import once, in the scheduler, what every task would import again.

LocalExecutor forks its workers from the scheduler and each task from a worker, so a task inherits these modules
instead of spending a second on them. Our own package is not among them: a task reads it afresh, as it is now.
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
    # Loads the system's certificates, which the class keeps for all clients to come.
    importlib.import_module("airflow.sdk.api.client").Client(base_url="http://127.0.0.1", token="").close()
